/** What our parser and boundary make of some bytes, read as a visitor's connection would be. */
import { TunnelFault } from '@postern/protocol/fault'
import { BodyBoundary, type RequestHead, RequestHeadParser, type Rule, ruleOf } from '@postern/protocol/http'
import type { MessageSeen } from './message-seen.ts'
import { readBody, type Span } from './passed-body.ts'
import { encodedTarget } from './request-oracle.ts'

type Ending =
  | { kind: 'refused'; rule: Rule; where: 'head' | 'body' }
  /** Every byte was read; perhaps a message goes on. */
  | { kind: 'read' }
  /** The last message said close: nothing behind it is read. */
  | { kind: 'closed' }

export interface OwnRun {
  readonly messages: MessageSeen[]
  /** Where each message begins, also one that was refused or is incomplete. */
  readonly starts: number[]
  readonly ending: Ending
  /** Why what passed on of a body is not what should. */
  readonly wrong: string | undefined
  /** The names of trailers that do not pass on. */
  readonly dropped: readonly Span[]
}

const parser = new RequestHeadParser()
const boundary = new BodyBoundary('request')

/** `step` bytes are added for each call, as if they had come in such pieces; `onHead` sees each head while it holds. */
export function readRequests(bytes: Buffer, step: number, onHead: (head: RequestHead) => void): OwnRun {
  const messages: MessageSeen[] = []
  const starts: number[] = []
  const dropped: Span[] = []
  let wrong: string | undefined
  let at = 0
  let where: 'head' | 'body' = 'head'
  try {
    while (at < bytes.length) {
      starts.push(at)
      where = 'head'
      parser.release()
      let head: RequestHead | undefined
      for (let to = at; head === undefined && to < bytes.length; ) {
        to = Math.min(bytes.length, to + step)
        head = parser.parse(bytes, at, to)
      }
      if (head === undefined) return { messages, starts, ending: { kind: 'read' }, wrong, dropped }
      const message: MessageSeen = {
        start: `${head.method} ${encodedTarget(head.target)} ${head.version === 11 ? '1.1' : '1.0'}`,
        fields: Array.from({ length: head.fieldCount }, (_, i) => [head.fieldName(i), head.fieldValue(i)]).flat(),
        keepAlive: head.keepAlive,
        bodyBytes: 0,
        complete: false,
      }
      messages.push(message)
      onHead(head)
      at += head.bytes
      where = 'body'
      const body = readBody(boundary, head, bytes, at, step, 'request')
      at = body.end
      wrong ??= body.wrong
      dropped.push(...body.dropped)
      message.complete = boundary.done
      message.bodyBytes = body.dataBytes
      if (boundary.done && !head.keepAlive) return { messages, starts, ending: { kind: 'closed' }, wrong, dropped }
    }
    return { messages, starts, ending: { kind: 'read' }, wrong, dropped }
  } catch (error) {
    const rule = error instanceof TunnelFault ? ruleOf(error) : undefined
    if (rule === undefined) throw error
    return { messages, starts, ending: { kind: 'refused', rule, where }, wrong, dropped }
  }
}

/** Of a line that came in pieces nothing is judged before its LF: bytes that end within one may still be undecided. */
export function sameRun(whole: OwnRun, pieces: OwnRun, bytes: Buffer): boolean {
  if (JSON.stringify(pieces) === JSON.stringify(whole)) return true
  const undecided = pieces.ending.kind === 'read' && whole.ending.kind === 'refused' && whole.ending.where === 'head'
  return undecided && bytes.at(-1) !== 0x0a && JSON.stringify(pieces.messages) === JSON.stringify(whole.messages)
}
