/** What our parser and boundary make of some bytes, read as a stream from a local server would be, up to the final response. */
import { TunnelFault } from '@postern/protocol/fault'
import { BodyBoundary, type ResponseHead, ResponseHeadParser, ruleOf } from '@postern/protocol/http'
import type { MessageSeen } from './message-seen.ts'
import { readBody } from './passed-body.ts'
import type { OwnRun } from './request-reader.ts'

const parser = new ResponseHeadParser()
const boundary = new BodyBoundary('response')

/** The connection ends after the bytes. `step` and `onHead` as for requests. */
export function readResponses(
  bytes: Buffer,
  method: string,
  upgrade: boolean,
  step: number,
  onHead: (head: ResponseHead) => void,
): OwnRun {
  const messages: MessageSeen[] = []
  const starts: number[] = []
  let at = 0
  let where: 'head' | 'body' = 'head'
  parser.answer(method, upgrade)
  try {
    for (;;) {
      starts.push(at)
      where = 'head'
      parser.release()
      let head: ResponseHead | undefined
      for (let to = at; head === undefined && to < bytes.length; ) {
        to = Math.min(bytes.length, to + step)
        head = parser.parse(bytes, at, to)
      }
      if (head === undefined) return { messages, starts, ending: { kind: 'read' }, wrong: undefined, dropped: [] }
      const message: MessageSeen = {
        start: `${head.version === 11 ? '1.1' : '1.0'} ${head.status} ${head.reason}`,
        fields: Array.from({ length: head.fieldCount }, (_, i) => [head.fieldName(i), head.fieldValue(i)]).flat(),
        keepAlive: true,
        bodyBytes: 0,
        complete: head.interim,
      }
      messages.push(message)
      onHead(head)
      at += head.bytes
      if (head.interim) continue

      where = 'body'
      const body = readBody(boundary, head, bytes, at, step)
      message.complete = boundary.end() === 'complete'
      message.bodyBytes = body.dataBytes
      return { messages, starts, ending: { kind: 'closed' }, wrong: body.wrong, dropped: body.dropped }
    }
  } catch (error) {
    const rule = error instanceof TunnelFault ? ruleOf(error) : undefined
    if (rule === undefined) throw error
    return { messages, starts, ending: { kind: 'refused', rule, where }, wrong: undefined, dropped: [] }
  }
}
