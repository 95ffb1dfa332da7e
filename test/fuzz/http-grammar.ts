/** Makes HTTP/1.1 messages that are nearly right: each part is drawn from what is common and from what parsers disagree on. */
import type { Random } from './random.ts'

const METHODS = [
  'GET',
  'GET',
  'GET',
  'POST',
  'POST',
  'HEAD',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'PROPFIND',
  'REPORT',
  'get',
  'X!Y',
  'CONNECT',
  'PRI',
  'GE T',
  'G\tT',
  '',
]
const TARGETS = [
  '/',
  '/',
  '/a/b?c=d',
  '*',
  '/%00',
  '/\u00c3\u00a4',
  '/a b',
  '/a#b',
  '//b.example/',
  '/a\\b',
  '/\x7f',
  '/a\tb',
  '',
  'a',
  'http://a.example/x',
  'http://a.example',
  'http://A.example?q',
  'HTTPS://a.example/',
  'http://b.example/',
  'http://u@a.example/',
  'http://a.example:80/',
  'ftp://a.example/',
  'a.example:443',
  'http:/a',
  'http://',
  '/{}|^"<>`',
  '?a',
]
const VERSIONS = [
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/2.0',
  'HTTP/0.9',
  'http/1.1',
  'HTTP/1.11',
  'HTTP/11',
  'HTTP/1.',
  '',
  'RTSP/1.0',
]
const HOSTS = [
  'a.example',
  'a.example',
  'a.example',
  'A.Example:80',
  '',
  'a.example:',
  '[::1]:80',
  '[::1',
  'a b',
  'a,b',
  'u@a.example',
  'a.example/x',
  'a_b.example',
  'a.example:99999',
  '\u00e4',
  '%41',
]
const ENDS = [
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\n',
  '\r',
  '\r\r\n',
  '\n\r\n',
  '\r\n ',
  '\r\n\t',
  '\0\r\n',
  ' \r\n',
  '',
]
const COLONS = [
  ': ',
  ': ',
  ': ',
  ': ',
  ': ',
  ': ',
  ':',
  ':\t',
  ':  ',
  ' :',
  '\t: ',
  ':\r\n ',
  ':\x0b',
  ';',
  ' ',
  ': \t',
]
const LENGTHS = [
  '0',
  '3',
  '5',
  '5',
  '10',
  '05',
  '+5',
  '-5',
  '5,5',
  '5, 6',
  '5 ',
  '\t5',
  '0x5',
  '5.0',
  '',
  '5 5',
  '9007199254740991',
  '9007199254740992',
  '18446744073709551616',
  '18446744073709551621',
  '"5"',
  '5\x0b',
  '5\u00a0',
  '1e1',
]
const CODINGS = [
  'chunked',
  'chunked',
  'chunked',
  'Chunked',
  'CHUNKED',
  'gzip, chunked',
  'chunked, gzip',
  'chunked,chunked',
  'identity',
  'chunked;q=1',
  '"chunked"',
  'xchunked',
  'chunked ',
  '\tchunked',
  '',
  ',chunked',
  'chunked,',
  'chun ked',
  'chunked\x0b',
  'deflate',
]
const CONNECTIONS = [
  'close',
  'keep-alive',
  'Keep-Alive',
  'upgrade',
  'close, keep-alive',
  'keep-alive, Upgrade',
  'x-hop',
  'close;a',
  'a b',
  ',close',
  'close,',
  'closed',
  'TE',
  'content-length',
  '',
  'transfer-encoding, close',
  'cl\u00f6se',
]
const NAMES = [
  'X',
  'Accept',
  'Cookie',
  'content_length',
  'Content_Length',
  'Transfer_Encoding',
  'Content-Length-X',
  'X-Forwarded-For',
  'X_Forwarded_For',
  'x-long-name-of-a-field',
  'A\u00e9',
  'a b',
  '',
  '"q"',
  'a/b',
  'a(b',
  "!#$%&'*+.^_`|~",
  'Trailer',
  'Via',
  'Content-Length\0',
  'Proxy-Connection',
  'Keep-Alive',
]
const VALUES = [
  '',
  'a',
  'a b',
  ' a ',
  '\ta\t',
  'a\tb',
  '\u00ff',
  'a\x7fb',
  'a\0b',
  'a\x0bb',
  'a\rb',
  'a\nb',
  '"q\\"',
  'a: b',
  'GET / HTTP/1.1',
  'chunked',
  '5',
  '\x1b[0m',
  'a\r\n b',
  'a'.repeat(300),
]
const SIZES = [
  '5',
  '5',
  '5',
  '05',
  '5;a',
  '5;a=b',
  '5;a="b;c"',
  '5 ;a',
  '5 ',
  '0x5',
  '+5',
  '-5',
  '5\n',
  '5\r',
  'g',
  '',
  '5;',
  '5;a=',
  '5;a="b',
  '00000000000000005',
  'FFFFFFFFFFFFFFFFF',
  '10000000000000005',
  '5,5',
  '5\0',
  '5;\n',
  '5;a\u00e4',
  '5; a=b',
  '5;a b',
  '5;a;b',
  '5;=b',
  '5;a=\tb',
]
const BODY_ENDS = ['\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '', 'x\r\n', '\r\n\r\n']
const TRAILERS = [
  '',
  '',
  '',
  '',
  'X: y\r\n',
  'X: y\r\nZ: w\r\n',
  'X:\r\n',
  'Content-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: b\r\n',
  'X : y\r\n',
  'X: a\r\n b\r\n',
  'X: a\nY: b\r\n',
  'noise\r\n',
  ' X: y\r\n',
  'X: \0\r\n',
]
const STATUSES = [
  '200 OK',
  '200 OK',
  '200 OK',
  '200 OK',
  '404 Not Found',
  '204 No Content',
  '304 Not Modified',
  '100 Continue',
  '103 Early Hints',
  '101 Switching',
  '205 Reset',
  '206 Partial',
  '200',
  '200 ',
  '999 X',
  '000 X',
  '99 X',
  '2000 X',
  '200\tOK',
  ' 200 OK',
  '200 O\0K',
  '200 \u00e4',
  '-20 X',
  'abc X',
  '426 Upgrade Required',
]

/** A list whose first items are the harmless ones is drawn from its head most of the time. */
function mostly<Item>(random: Random, items: readonly Item[], harmless: number): Item {
  return random.once(20) ? random.pick(items) : items[random.below(harmless)]!
}

const line = (random: Random, name: string, value: string) =>
  `${name}${mostly(random, COLONS, 6)}${value}${mostly(random, ENDS, 12)}`

function framingFields(random: Random): string {
  const length = () => line(random, random.once(8) ? 'content-length' : 'Content-Length', mostly(random, LENGTHS, 5))
  const coding = () =>
    line(random, random.once(8) ? 'transfer-encoding' : 'Transfer-Encoding', mostly(random, CODINGS, 3))
  switch (random.below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return length()
    case 4:
    case 5:
    case 6:
    case 7:
      return coding()
    case 8:
      return random.once(2) ? length() + coding() : coding() + length()
    case 9:
      return random.once(2) ? length() + length() : coding() + coding()
    default:
      return ''
  }
}

function otherFields(random: Random): string {
  let fields = ''
  for (let more = random.below(4); more > 0; more--) {
    switch (random.below(6)) {
      case 0:
        fields += line(random, 'Connection', random.pick(CONNECTIONS))
        break
      case 1:
        fields += line(random, 'Upgrade', random.pick(['websocket', 'h2c', 'a b', '']))
        break
      case 2:
        fields += line(random, 'Expect', random.pick(['100-continue', '100-Continue', 'x']))
        break
      default:
        fields += line(random, mostly(random, NAMES, 3), mostly(random, VALUES, 6))
    }
  }
  return fields
}

function chunkedBody(random: Random): string {
  let body = ''
  for (let more = random.below(3); more > 0; more--) {
    body += `${mostly(random, SIZES, 7)}${mostly(random, ENDS, 12)}abcde${mostly(random, BODY_ENDS, 6)}`
  }
  if (random.once(10)) return body
  return `${body}${mostly(random, ['0', '00', '0;a', '0 '], 2)}${mostly(random, ENDS, 12)}${mostly(random, TRAILERS, 6)}${mostly(random, ENDS, 12)}`
}

/** A body that often fits the framing fields, and sometimes does not. */
function body(random: Random, fields: string): string {
  if (random.once(12)) return random.pick(['abcde', '0\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n', ''])
  if (/chunked/i.test(fields)) return chunkedBody(random)
  const length = /content-length:[ \t]*(\d{1,2})\b/i.exec(fields)
  return length === null ? '' : 'x'.repeat(Number(length[1]))
}

function request(random: Random): string {
  const separator = () => (random.once(40) ? random.pick(['  ', '\t', '', ' \r']) : ' ')
  const start = `${mostly(random, METHODS, 6)}${separator()}${mostly(random, TARGETS, 3)}${separator()}${mostly(random, VERSIONS, 7)}${mostly(random, ENDS, 12)}`
  const host = random.once(20) ? '' : line(random, random.once(10) ? 'host' : 'Host', mostly(random, HOSTS, 3))
  const framing = framingFields(random)
  const fields = random.once(2) ? host + otherFields(random) + framing : otherFields(random) + framing + host
  const before = random.once(40) ? random.pick(['\r\n', '\n', '\r\n\r\n', ' ', '\0', '\u00ef\u00bb\u00bf']) : ''
  return `${before}${start}${fields}${random.once(30) ? host : ''}${mostly(random, ENDS, 12)}${body(random, framing)}`
}

/** One to three requests in a row, as latin1 text. */
export function requests(random: Random): string {
  let text = ''
  for (let more = random.once(3) ? 1 + random.below(3) : 1; more > 0; more--) text += request(random)
  return text
}

function response(random: Random, status: string): string {
  const start = `${mostly(random, VERSIONS, 7)}${random.once(40) ? random.pick(['  ', '\t', '']) : ' '}${status}${mostly(random, ENDS, 12)}`
  const framing = framingFields(random)
  const fields = random.once(2) ? otherFields(random) + framing : framing + otherFields(random)
  return `${start}${fields}${mostly(random, ENDS, 12)}${body(random, framing)}`
}

/** Perhaps an interim response, then one, as latin1 text. */
export function responses(random: Random): string {
  let text = ''
  while (random.once(8))
    text += `HTTP/1.1 ${random.pick(['100 Continue', '103 Early Hints', '102 Processing'])}\r\n${otherFields(random)}\r\n`
  return text + response(random, mostly(random, STATUSES, 7))
}
