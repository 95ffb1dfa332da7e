/** Compares our reading of responses with node:http's client: what we accept it accepts with the same meaning. */
import { needsChunking, type ResponseHead, ResponseHeadParser, writeResponseHead } from '@postern/protocol/http'
import { difference } from './message-seen.ts'
import { edited } from './passed-body.ts'
import { closesEarly, REFUSED_RESPONSES } from './refused-by-us.ts'
import { type OwnRun, sameRun } from './request-reader.ts'
import { readByNode } from './response-oracle.ts'
import { readResponses } from './response-reader.ts'
import type { Verdict } from './verdict.ts'

export class ResponseDifferential {
  readonly #again = new ResponseHeadParser()

  async judge(bytes: Buffer, method: string, upgrade: boolean): Promise<Verdict> {
    let rewriting: string | undefined
    const ours = readResponses(bytes, method, upgrade, Math.max(1, bytes.length), (head) => {
      rewriting ??= this.#rewrite(head, method, upgrade)
    })
    if (rewriting !== undefined) return { kind: 'finding', what: `rewritten head: ${rewriting}` }
    if (ours.wrong !== undefined) return { kind: 'finding', what: ours.wrong }
    const bytewise = readResponses(bytes, method, upgrade, 1, () => undefined)
    if (!sameRun(ours, bytewise, bytes))
      return { kind: 'finding', what: `fed byte by byte: ${JSON.stringify(bytewise)} ≠ ${JSON.stringify(ours)}` }
    return this.#compare(ours, await readByNode(edited(bytes, ours.edits), method, upgrade))
  }

  #compare(ours: OwnRun, theirs: Awaited<ReturnType<typeof readByNode>>): Verdict {
    const { ending } = ours
    for (const [index, message] of ours.messages.entries()) {
      const counterpart = theirs.messages[index]
      const isLast = index === ours.messages.length - 1
      if (counterpart === undefined && closesEarly(ours.messages.slice(0, index))) return { kind: 'both-accept' }
      if (counterpart === undefined)
        return { kind: 'finding', what: `message ${index}: refused by node, ${theirs.refusal}` }
      const inBody = isLast && ending.kind === 'refused' && ending.where === 'body'
      const comparable = inBody
        ? { ...counterpart, bodyBytes: message.bodyBytes, complete: message.complete }
        : counterpart
      const differs = difference(message, comparable)
      if (differs !== undefined)
        return { kind: 'finding', what: `message ${index}: ${differs} (node: ${theirs.refusal ?? 'accepted'})` }
      if (inBody && counterpart.complete) return explained(ending.rule)
    }
    if (ending.kind === 'refused')
      return theirs.messages.length > ours.messages.length
        ? explained(ending.rule)
        : { kind: 'both-refuse', rule: ending.rule }
    if (theirs.messages.length > ours.messages.length)
      return { kind: 'finding', what: `node reads ${theirs.messages.length} messages, we ${ours.messages.length}` }
    return ending.kind === 'closed' ? { kind: 'both-accept' } : { kind: 'incomplete' }
  }

  /** What we send on must mean to the visitor what the response meant to us. */
  #rewrite(head: ResponseHead, method: string, upgrade: boolean): string | undefined {
    const written = writeResponseHead(head, { visitorVersion: 11, keepAlive: true, requestId: 'r' })
    if (!CLEAN_HEAD.test(written.toString('latin1'))) return 'is not in clean form'
    this.#again.answer(method, upgrade)
    const read = this.#again.parse(written, 0, written.length)
    if (read === undefined || read.bytes !== written.length) return 'has no end, or an early one'
    for (const key of ['status', 'reason', 'upgrade', 'interim'] as const)
      if (read[key] !== head[key]) return `${key}: ${read[key]} ≠ ${head[key]}`
    const framing = needsChunking(head, 11) ? 'chunked' : head.framing
    if (read.framing !== framing) return `framing: ${read.framing} ≠ ${framing}`
    const dates = head.fieldValues('date').length
    const wanted = dates === 0 && head.status >= 200 ? 1 : dates
    if (read.fieldValues('date').length !== wanted) return `${read.fieldValues('date').length} Dates, not ${wanted}`
    return undefined
  }
}

/** What goes on has no form that is only tolerated. */
const CLEAN_HEAD = /^HTTP\/1\.1 \d{3} [\t -~\x80-\xff]*\r\n(?:[^\s:]+: [\t -~\x80-\xff]*\r\n)*\r\n$/

function explained(rule: keyof typeof REFUSED_RESPONSES): Verdict {
  if (REFUSED_RESPONSES[rule] === undefined) return { kind: 'finding', what: `node accepts what we refuse by ${rule}` }
  return { kind: 'we-refuse', rule }
}
