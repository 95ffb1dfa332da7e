/** Says the head and the trailers of an HTTP/1.1 message as HTTP/2 does (RFC 9113 §8). Knows nothing of frames or streams. */
import type { FieldLines } from './field-lines.ts'
import { bits, FIELD } from './field-names.ts'
import { allowedInHttp2 } from './http2-fields.ts'
import type { RequestHead } from './request-head.ts'
import type { ResponseHead } from './response-head.ts'

/**
 * By lower-case name, as `node:http2` takes them; an array where a field was sent more than once. The object has no prototype: to a peer,
 * `constructor` and `__proto__` are names like any other.
 */
export type Http2Fields = Record<string, string | string[]>

/** What TE says is written anew; `Proxy-…` is between a client and its proxy. */
const DROPPED = bits(FIELD.te, FIELD.proxy)
const REQUEST_DROPPED = DROPPED | bits(FIELD.host)

const TRAILERS = /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i

/** The scheme is that of the connection to the local server, which is in clear; X-Forwarded-Proto tells the visitor's. */
export function http2RequestFields(head: RequestHead): Http2Fields {
  const fields = fieldsOf({ ':method': head.method, ':scheme': 'http', ':path': head.path })
  if (head.host !== '') fields[':authority'] = head.lines.joined(FIELD.host) ?? head.host
  copyFields(head.lines, REQUEST_DROPPED, fields)
  if (TRAILERS.test(head.lines.joined(FIELD.te) ?? '')) fields.te = 'trailers'
  return fields
}

/** The reason is left out, for which HTTP/2 has no place (RFC 9113 §8.3.2). */
export function http2ResponseFields(head: ResponseHead): Http2Fields {
  return copyFields(head.lines, DROPPED, fieldsOf({ ':status': String(head.status) }))
}

export function http2Trailers(lines: FieldLines): Http2Fields {
  return copyFields(lines, DROPPED, fieldsOf({}))
}

/** Fields that HTTP/2's implementation takes once only, sent more often, as one (RFC 9110 §5.3). Set-Cookie is none of them. */
export function joinRepeated(fields: Http2Fields): Http2Fields {
  const joined = fieldsOf({})
  for (const [name, value] of Object.entries(fields))
    joined[name] = Array.isArray(value) && name !== 'set-cookie' ? value.join(name === 'cookie' ? '; ' : ', ') : value
  return joined
}

function copyFields(lines: FieldLines, dropped: number, fields: Http2Fields): Http2Fields {
  for (let i = 0; i < lines.count; i++) {
    if ((dropped & (1 << lines.id(i))) !== 0) continue
    const name = lines.name(i).toLowerCase()
    const value = lines.value(i)
    if (!allowedInHttp2(name, value)) continue
    const before = fields[name]
    if (before === undefined) fields[name] = value
    else if (Array.isArray(before)) before.push(value)
    else fields[name] = [before, value]
  }
  return fields
}

const fieldsOf = (fields: Http2Fields): Http2Fields => Object.assign(Object.create(null), fields)
