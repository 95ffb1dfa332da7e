/** What our parser and boundary make of some bytes, read as a stream from a local server would be, up to the final response. */
import { TunnelFault } from '@postern/protocol/fault'
import { BodyBoundary, FIELD, type ResponseHead, ResponseHeadParser, ruleOf } from '@postern/protocol/http'
import { hasOddHead } from './clean-trailers.ts'
import type { MessageSeen } from './message-seen.ts'
import { type Edit, readBody } from './passed-body.ts'
import type { OwnRun } from './request-reader.ts'

const parser = new ResponseHeadParser()
const boundary = new BodyBoundary('response')

export interface ResponsesRun extends OwnRun {
  /** What only we tolerate, in the form in which it passes on. */
  readonly edits: readonly Edit[]
}

/** The connection ends after the bytes. `step` and `onHead` as for requests. */
export function readResponses(
  bytes: Buffer,
  method: string,
  upgrade: boolean,
  step: number,
  onHead: (head: ResponseHead) => void,
): ResponsesRun {
  const messages: MessageSeen[] = []
  const starts: number[] = []
  const edits: Edit[] = []
  let wrong: string | undefined
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
      if (head === undefined) return { messages, starts, ending: { kind: 'read' }, wrong, dropped: [], edits }
      const message: MessageSeen = {
        start: `${head.version === 11 ? '1.1' : '1.0'} ${head.status} ${head.reason}`,
        fields: fieldsOf(head),
        keepAlive: true,
        bodyBytes: 0,
        complete: head.interim,
      }
      messages.push(message)
      onHead(head)
      if (head.keepAlive && hasOddHead(bytes.toString('latin1', at, at + head.bytes)))
        wrong = 'the connection is used again behind a head with odd lines'
      if (isTolerated(head, bytes, at)) edits.push({ from: at, to: at + head.bytes, text: cleanHead(message) })
      at += head.bytes
      if (head.interim) continue

      where = 'body'
      const body = readBody(boundary, head, bytes, at, step, 'response')
      message.complete = boundary.end() === 'complete'
      message.bodyBytes = body.dataBytes
      edits.push(...body.edits)
      return { messages, starts, ending: { kind: 'closed' }, wrong: wrong ?? body.wrong, dropped: [], edits }
    }
  } catch (error) {
    const rule = error instanceof TunnelFault ? ruleOf(error) : undefined
    if (rule === undefined) throw error
    return { messages, starts, ending: { kind: 'refused', rule, where }, wrong, dropped: [], edits }
  }
}

/** Names and values as they pass on: nothing twice, and no list where one value is meant. */
function fieldsOf(head: ResponseHead): string[] {
  return Array.from({ length: head.fieldCount }, (_, i) => {
    const id = head.lines.id(i)
    if (id === FIELD.leftOut) return []
    const isList = head.fieldValue(i).includes(',')
    if (isList && id === FIELD.contentLength) return [head.fieldName(i), String(head.contentLength)]
    return [head.fieldName(i), isList && id === FIELD.transferEncoding ? 'chunked' : head.fieldValue(i)]
  }).flat()
}

/** Whether the head has a form that node's client does not take: a line that is not in clean form, or framing that is said twice or not passed on. */
function isTolerated(head: ResponseHead, bytes: Buffer, from: number): boolean {
  const text = bytes.toString('latin1', from, from + head.bytes)
  const framing = [...text.matchAll(/^(?:content-length|transfer-encoding):([^\n]*)/gim)]
  return (
    hasOddHead(text) ||
    /^HTTP\/1\.\d {2}/.test(text) ||
    framing.length > 1 ||
    framing.some(([, value]) => /,|\t *\r?$/.test(value!)) ||
    Array.from({ length: head.fieldCount }, (_, i) => head.lines.id(i)).includes(FIELD.leftOut)
  )
}

function cleanHead({ start, fields }: MessageSeen): string {
  const lines = fields.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${fields[i + 1]}\r\n`] : []))
  return `HTTP/${start}\r\n${lines.join('')}\r\n`
}
