/** Compares our reading of requests with node:http's: what we accept it accepts with the same meaning. */
import { ForwardedFields, type RequestHead, RequestHeadParser, writeRequestHead } from '@postern/protocol/http'
import { difference } from './message-seen.ts'
import { resemblesOurs } from './our-fields.ts'
import { withoutDropped } from './passed-body.ts'
import { REFUSED_REQUESTS, stopsNode } from './refused-by-us.ts'
import { RequestOracle, readableByNode } from './request-oracle.ts'
import { type OwnRun, readRequests, sameRun } from './request-reader.ts'
import type { Verdict } from './verdict.ts'

export class RequestDifferential {
  readonly #oracle = new RequestOracle()
  readonly #again = new RequestHeadParser()
  readonly #forwarded = new ForwardedFields('203.0.113.7', 'https')

  close(): void {
    this.#oracle.close()
  }

  judge(bytes: Buffer): Verdict {
    let rewriting: string | undefined
    const ours = readRequests(bytes, bytes.length, (head) => {
      rewriting ??= this.#rewrite(head)
    })
    if (rewriting !== undefined) return { kind: 'finding', what: `rewritten head: ${rewriting}` }
    if (ours.wrong !== undefined) return { kind: 'finding', what: ours.wrong }
    const bytewise = readRequests(bytes, 1, () => undefined)
    if (!sameRun(ours, bytewise, bytes))
      return { kind: 'finding', what: `fed byte by byte: ${JSON.stringify(bytewise)} ≠ ${JSON.stringify(ours)}` }
    return this.#compare(ours, readableByNode(withoutDropped(bytes, ours.dropped), ours.starts))
  }

  #compare(ours: OwnRun, bytes: Buffer): Verdict {
    const theirs = this.#oracle.read(bytes)
    const { ending } = ours
    for (const [index, message] of ours.messages.entries()) {
      const counterpart = theirs.messages[index]
      const isLast = index === ours.messages.length - 1
      if (counterpart === undefined && theirs.refusal === undefined && stopsNode(ours.messages.slice(0, index)))
        return { kind: 'both-accept' }
      if (counterpart === undefined)
        return { kind: 'finding', what: `message ${index}: refused by node, ${theirs.refusal}` }
      // A method that was replaced is none of node's.
      const known = { ...counterpart, start: counterpart.start.replace(/^\S+/, message.start.split(' ', 1)[0]!) }
      const inBody = isLast && ending.kind === 'refused' && ending.where === 'body'
      const comparable = inBody ? { ...known, bodyBytes: message.bodyBytes, complete: message.complete } : known
      const differs = difference(message, comparable)
      if (differs !== undefined)
        return { kind: 'finding', what: `message ${index}: ${differs} (node: ${theirs.refusal ?? 'accepted'})` }
      if (inBody && counterpart.complete) return explained(ending.rule)
    }
    if (ending.kind === 'refused') {
      const nodeReadMore = theirs.messages.length > ours.messages.length
      return nodeReadMore ? explained(ending.rule) : { kind: 'both-refuse', rule: ending.rule }
    }
    if (ending.kind === 'read' && theirs.messages.length > ours.messages.length)
      return { kind: 'finding', what: `node reads ${theirs.messages.length} messages, we ${ours.messages.length}` }
    return ours.messages.length > 0 ? { kind: 'both-accept' } : { kind: 'incomplete' }
  }

  /** What we send on must mean to the next reader what the request meant to us. */
  #rewrite(head: RequestHead): string | undefined {
    const written = writeRequestHead(head, { forwarded: this.#forwarded, requestId: 'r' })
    const read = this.#again.parse(written, 0, written.length)
    if (read === undefined || read.bytes !== written.length) return 'has no end, or an early one'
    for (const key of ['method', 'path', 'framing', 'contentLength', 'upgrade', 'expectContinue'] as const)
      if (read[key] !== head[key]) return `${key}: ${read[key]} ≠ ${head[key]}`
    for (let i = 0; i < read.fieldCount; i++)
      if (resemblesOurs(read.fieldName(i))) return `passes ${read.fieldName(i)} on`
    if (read.version !== 11) return `version: ${read.version}`
    if (head.host !== read.host) return `host: ${read.host} ≠ ${head.host}`
    return undefined
  }
}

function explained(rule: keyof typeof REFUSED_REQUESTS): Verdict {
  if (REFUSED_REQUESTS[rule] === undefined) return { kind: 'finding', what: `node accepts what we refuse by ${rule}` }
  return { kind: 'we-refuse', rule }
}
