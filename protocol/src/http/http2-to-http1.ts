/** Writes the head and the trailers of an HTTP/2 message as HTTP/1.1 would (RFC 9113 §8). Knows nothing of frames or streams. */
import { STATUS_CODES } from 'node:http'
import { COLON, TARGET, TOKEN, VALUE } from './character-tables.ts'
import { allowedInHttp2 } from './http2-fields.ts'
import { refuse, type Side } from './rules.ts'

/** Names and values in turn, pseudo-fields among them, as `node:http2` tells them: each character is a byte. */
export type RawFields = readonly string[]

interface Pseudo {
  method?: string
  scheme?: string
  authority?: string
  path?: string
}

const PSEUDO: ReadonlyMap<string, keyof Pseudo> = new Map([
  [':method', 'method'],
  [':scheme', 'scheme'],
  [':authority', 'authority'],
  [':path', 'path'],
])

/**
 * The head of a request, for `RequestHeadParser`, which judges it as it does any other. `ended`: no body follows; otherwise one that has no
 * Content-Length is said to be chunked.
 *
 * @throws TunnelFault by the rules of `RULES`
 */
export function http1RequestHead(raw: RawFields, ended: boolean): Buffer {
  const pseudo: Pseudo = {}
  const lines: string[] = []
  let host: string | undefined
  let hasLength = false
  let cookieAt = -1
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    const value = raw[i + 1]!
    if (name.charCodeAt(0) === COLON) takePseudo(pseudo, name, value)
    else if (name === 'host') {
      if (host !== undefined) refuse('request', 'host-repeated')
      host = value
    } else if (name === 'cookie' && cookieAt !== -1) {
      // RFC 9113 §8.2.3: crumbs of one field, which servers of HTTP/1.1 read only once.
      checkValue(value, 'request')
      lines[cookieAt] = `${lines[cookieAt]!.slice(0, -2)}; ${value}\r\n`
    } else {
      if (name === 'cookie') cookieAt = lines.length
      hasLength ||= name === 'content-length'
      lines.push(fieldLine(name, value, 'request'))
    }
  }
  const { method, path } = judgePseudo(pseudo)
  const coding = ended || hasLength ? '' : 'transfer-encoding: chunked\r\n'
  const head = `${method} ${path} HTTP/1.1\r\n${hostLine(pseudo.authority, host)}${lines.join('')}${coding}\r\n`
  return Buffer.from(head, 'latin1')
}

/**
 * The head of a response to `method`, for `ResponseHeadParser`. `ended`: no body follows; a body without Content-Length is said to be chunked.
 *
 * @throws TunnelFault `origin-invalid`
 */
export function http1ResponseHead(raw: RawFields, { method, ended }: { method: string; ended: boolean }): Buffer {
  let status = 0
  let lines = ''
  let hasLength = false
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    const value = raw[i + 1]!
    if (name.charCodeAt(0) === COLON) {
      if (name !== ':status' || status !== 0 || !/^[1-9]\d\d$/.test(value)) refuse('response', 'h2-pseudo-fields')
      status = Number(value)
    } else {
      hasLength ||= name === 'content-length'
      lines += fieldLine(name, value, 'response')
    }
  }
  if (status === 0) refuse('response', 'h2-pseudo-fields')
  const bodyless = method === 'HEAD' || status < 200 || status === 204 || status === 304
  const framing = bodyless || hasLength ? '' : ended ? 'content-length: 0\r\n' : 'transfer-encoding: chunked\r\n'
  return Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines}${framing}\r\n`, 'latin1')
}

/** The end of a chunked body: the last chunk, these trailers, the empty line. @throws TunnelFault by the rules of `RULES` */
export function http1LastChunk(trailers: RawFields, side: Side): Buffer {
  let lines = ''
  for (let i = 0; i < trailers.length; i += 2) {
    if (trailers[i]!.charCodeAt(0) === COLON) refuse(side, 'h2-pseudo-fields')
    lines += fieldLine(trailers[i]!, trailers[i + 1]!, side)
  }
  return Buffer.from(`0\r\n${lines}\r\n`, 'latin1')
}

function takePseudo(pseudo: Pseudo, name: string, value: string): void {
  const key = PSEUDO.get(name)
  if (key === undefined || pseudo[key] !== undefined) refuse('request', 'h2-pseudo-fields')
  pseudo[key] = value
}

/** What goes into the request line must not end it. */
function judgePseudo({ method, scheme, path }: Pseudo): { method: string; path: string } {
  if (method === undefined || !every(method, TOKEN)) refuse('request', 'method-token')
  // It has neither scheme nor path (RFC 9113 §8.5), or is of another protocol (RFC 8441), which is not offered.
  if (method === 'CONNECT') refuse('request', 'method-connect')
  if (scheme === undefined || path === undefined) refuse('request', 'h2-pseudo-fields')
  if (scheme !== 'http' && scheme !== 'https') refuse('request', 'h2-scheme')
  if (path !== '*' && !path.startsWith('/')) refuse('request', 'target-form')
  if (!every(path, TARGET)) refuse('request', 'target-character')
  return { method, path }
}

/** RFC 9113 §8.3.1: `:authority` takes the place of Host; where both are sent they name the same. */
function hostLine(authority: string | undefined, host: string | undefined): string {
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase())
    refuse('request', 'host-differs')
  const named = authority ?? host
  return named === undefined ? '' : fieldLine('host', named, 'request')
}

/** Nothing for a field that HTTP/2 forbids: what nghttp2 lets pass of these says nothing to us, and goes no further. */
function fieldLine(name: string, value: string, side: Side): string {
  if (!every(name, TOKEN) || /[A-Z]/.test(name)) refuse(side, 'field-name-token')
  checkValue(value, side)
  if (!allowedInHttp2(name, value)) return ''
  return `${name}: ${value}\r\n`
}

function checkValue(value: string, side: Side): void {
  if (value !== '' && !every(value, VALUE)) refuse(side, 'field-value-control')
}

function every(text: string, table: Uint8Array): boolean {
  if (text === '') return false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0xff || table[code] === 0) return false
  }
  return true
}
