/** Answers as embedded servers, CGI programs and older frameworks send them: three of each kind at least, with what they mean and what others make of them. */
import { CHUNK_LINE_BYTES, RESPONSE_CHUNK_LINE_BYTES } from '@postern/protocol/limits'

export interface ToleratedAnswer {
  readonly kind: string
  readonly title: string
  /** As latin1 text. */
  readonly answer: string
  /** What its body means. */
  readonly content: string
  /** Interim responses before it. */
  readonly interim?: number
  /** The visitor's; 1.1 unless told otherwise. */
  readonly version?: '1.0'
  /** The local server's connection must not carry another request. */
  readonly last?: boolean
  /** What nginx 1.22 does with it as a proxy that is left as it is. What curl 7.88 does otherwise than with the clean form stands in `differences.ts`. */
  readonly nginx: 'takes' | 'refuses'
}

const head = (...lines: readonly string[]): string => ['HTTP/1.1 200 OK', ...lines, '', ''].join('\r\n')
const chunked = (body: string, ...lines: readonly string[]): string =>
  head(...lines, 'Transfer-Encoding: chunked') + body
const hints = (count: number, status = '103 Early Hints'): string =>
  `HTTP/1.1 ${status}\r\nLink: </a.css>; rel=preload\r\n\r\n`.repeat(count)
const OK = `${head('Content-Length: 4', 'X-Own: yes')}good`
const CHUNKS = '2\r\ngo\r\n2\r\nod\r\n0\r\n\r\n'
const CONTROLS = [...Array.from({ length: 31 }, (_, index) => index + 1), 0x7f]
  .map((code) => String.fromCharCode(code))
  .filter((character) => !'\t\r\n'.includes(character))
  .join('a')
const trailers = (section: string): string => chunked(`4\r\ngood\r\n0\r\n${section}`, 'Trailer: X-Sum')

const kind = (
  name: string,
  rows: Record<string, Pick<ToleratedAnswer, 'answer'> & Partial<ToleratedAnswer>>,
  nginx: ToleratedAnswer['nginx'] = 'takes',
) =>
  Object.entries(rows).map(([title, row]): ToleratedAnswer => ({ kind: name, title, content: 'good', nginx, ...row }))

export const TOLERATED_ANSWERS: readonly ToleratedAnswer[] = [
  ...kind('chunk sizes padded with white space', {
    'to eight characters': { answer: chunked('4       \r\ngood\r\n0       \r\n\r\n') },
    'with tabs, and zeros before': { answer: chunked('0004\t\t\r\ngood\r\n000\t\r\n\r\n') },
    'around an extension': { answer: chunked('2 ; a = "b c" \r\ngo\r\n2 \r\nod\r\n0 \r\n\r\n') },
    'before a trailer': { answer: chunked('4 \r\ngood\r\n0 \r\nX-Sum: 4\r\n\r\n', 'Trailer: X-Sum') },
    'in many small chunks': {
      answer: chunked(`${'1   \r\nx\r\n'.repeat(5000)}0   \r\n\r\n`),
      content: 'x'.repeat(5000),
    },
    'by more than a line has else': { answer: chunked(`4${' '.repeat(CHUNK_LINE_BYTES)}\r\ngood\r\n0\r\n\r\n`) },
    'to a visitor of HTTP/1.0': { answer: chunked('4   \r\ngood\r\n0   \r\n\r\n'), version: '1.0' },
  }),
  ...kind('LF line ends in chunks', {
    'behind the sizes': { answer: chunked('2\ngo\r\n2\nod\r\n0\n\r\n'), last: true },
    'behind the data': { answer: chunked('2\r\ngo\n2\r\nod\n0\r\n\r\n'), last: true },
    'behind the last chunk': { answer: chunked('4\r\ngood\r\n0\r\n\n'), last: true },
    everywhere: { answer: chunked('2\ngo\n2\nod\n0\n\n').replaceAll('\r', ''), last: true },
    'behind white space and extensions': { answer: chunked('2 \ngo\r\n2;a\nod\r\n0;\n\r\n'), last: true },
    'to a visitor of HTTP/1.0': { answer: chunked('2\ngo\n2\nod\n0\n\n'), version: '1.0' },
  }),
  ...kind('trailers with odd lines', {
    'LF line ends': { answer: trailers('X-Sum: 4\nX-End: yes\n\n'), last: true },
    'white space before the colon': { answer: trailers('X-Sum : 4\r\nX-End\t: yes\r\n\r\n'), last: true },
    folds: { answer: trailers('X-Sum: 4,\r\n  4\r\nX-End: yes\r\n\r\n'), last: true },
    'control characters': { answer: trailers('X-Sum: \x01\x1b4\x7f4\r\n\r\n'), last: true },
    'to a visitor of HTTP/1.0': { answer: trailers('X-Sum : 4\n\n'), version: '1.0' },
  }),
  ...kind('chunk extensions that are long or none', {
    'longer than a line of a request': {
      answer: chunked(`4;${'a'.repeat(CHUNK_LINE_BYTES)}\r\ngood\r\n0\r\n\r\n`),
    },
    'as long as they may be': {
      answer: chunked(`4;a="${'b'.repeat(RESPONSE_CHUNK_LINE_BYTES - 8)}"\r\ngood\r\n0\r\n\r\n`),
    },
    'a semicolon alone': { answer: chunked('4;\r\ngood\r\n0;\r\n\r\n') },
    'no name, or no value': { answer: chunked('2;=a\r\ngo\r\n2;a=;;b\r\nod\r\n0\r\n\r\n') },
    words: { answer: chunked('4; a few words, and an \xe4\r\ngood\r\n0\r\n\r\n') },
    'a control character': { answer: chunked('4;a\x01\r\ngood\r\n0\r\n\r\n') },
  }),
  ...kind('control characters in values', {
    'all but NUL, CR and LF': { answer: `${head('Content-Length: 4', `X-Own: ${CONTROLS}`)}good`, last: true },
    'an escape sequence': { answer: `${head('Content-Length: 4', 'X-Own: \x1b[31mred\x1b[0m')}good`, last: true },
    'in a cookie': { answer: `${head('Content-Length: 4', 'Set-Cookie: a=b\x01c; Path=/')}good`, last: true },
    'in the reason': { answer: OK.replace('OK', 'O\x07K'), last: true },
    'before chunks, at the end of a value': {
      answer: head('Transfer-Encoding: chunked', 'X-Own: a\x0c') + CHUNKS,
      last: true,
    },
  }),
  ...kind('any number of interim answers', {
    'seventeen early hints': { answer: hints(17) + OK, interim: 17 },
    'two hundred that say the work goes on': { answer: hints(200, '102 Processing') + OK, interim: 200 },
    'a thousand of different kinds': {
      answer: `${hints(400)}${hints(400, '102 Processing')}${hints(200, '199 Own')}${OK}`,
      interim: 1000,
    },
    'a hundred to a visitor of HTTP/1.0': { answer: hints(100) + OK, interim: 0, version: '1.0' },
  }),
  ...kind(
    'large heads',
    {
      'four fields of 60 KiB': {
        answer: `${head('Content-Length: 4', ...['a', 'b', 'c', 'd'].map((name) => `X-${name}: ${name.repeat(60 * 1024)}`))}good`,
      },
      '999 fields': {
        answer: `${head('Content-Length: 4', ...Array.from({ length: 998 }, (_, i) => `X-${i}: ${i}`))}good`,
      },
      '900 cookies of 250 bytes': {
        answer: `${head('Content-Length: 4', ...Array.from({ length: 900 }, (_, i) => `Set-Cookie: c${i}=${'v'.repeat(220)}; Path=/`))}good`,
      },
    },
    'refuses',
  ),
  ...kind('LF line ends in the head', {
    everywhere: { answer: 'HTTP/1.1 200 OK\nContent-Length: 4\nX-Own: yes\n\ngood', last: true },
    'behind the status line alone': {
      answer: 'HTTP/1.1 200 OK\nContent-Length: 4\r\nX-Own: yes\r\n\r\ngood',
      last: true,
    },
    'at the end of the head alone': {
      answer: 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Own: yes\r\n\ngood',
      last: true,
    },
    'before chunks': { answer: `HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nX-Own: yes\n\n${CHUNKS}`, last: true },
  }),
  ...kind(
    'white space before the colon',
    {
      'of a field of its own': { answer: `${head('Content-Length: 4', 'X-Own : yes')}good`, last: true },
      'of the length': { answer: `${head('Content-Length : 4', 'X-Own: yes')}good`, last: true },
      'of the coding, tabs among it': {
        answer: head('Transfer-Encoding \t : chunked', 'X-Own\t:yes') + CHUNKS,
        last: true,
      },
    },
    'refuses',
  ),
  ...kind('the same length twice', {
    'in two lines': { answer: `${head('Content-Length: 4', 'X-Own: yes', 'Content-Length: 4')}good` },
    'in three, in different case': {
      answer: `${head('content-length: 4', 'CONTENT-LENGTH: 4', 'Content-Length: 04')}good`,
    },
    'in a list': { answer: `${head('Content-Length: 4, 4', 'X-Own: yes')}good` },
  }),
  ...kind('chunked named twice', {
    'in two lines': { answer: head('Transfer-Encoding: chunked', 'X-Own: yes', 'Transfer-Encoding: chunked') + CHUNKS },
    'in a list': { answer: head('Transfer-Encoding: chunked, chunked', 'X-Own: yes') + CHUNKS },
    'in different case': { answer: head('transfer-encoding: Chunked', 'Transfer-Encoding: CHUNKED') + CHUNKS },
  }),
  ...kind('chunked beside a length', {
    'of the content': { answer: head('Content-Length: 4', 'Transfer-Encoding: chunked') + CHUNKS, last: true },
    'behind it, and of the coded body': {
      answer: head('Transfer-Encoding: chunked', `Content-Length: ${CHUNKS.length}`) + CHUNKS,
      last: true,
    },
    'that is too small': {
      answer: head('Content-Length: 1', 'Transfer-Encoding: chunked', 'Connection: keep-alive') + CHUNKS,
      last: true,
    },
    'that is no number': { answer: head('Transfer-Encoding: chunked', 'Content-Length: none') + CHUNKS, last: true },
  }),
  ...kind(
    'folded fields',
    {
      'of its own': { answer: `${head('Content-Length: 4', 'X-Own: yes,', '  and no')}good`, last: true },
      'in three lines, by tabs': { answer: `${head('X-Own: a', '\tb', ' \t c', 'Content-Length: 4')}good`, last: true },
      'the length': { answer: `${head('X-Own: yes', 'Content-Length:', ' 4')}good`, last: true },
      'a cookie, with LF': {
        answer: `HTTP/1.1 200 OK\nSet-Cookie: a=b;\n  Path=/;\n  HttpOnly\nContent-Length: 4\n\ngood`,
        last: true,
      },
    },
    'refuses',
  ),
  ...kind('white space and lists where one word is meant', {
    'a tab behind the length': { answer: `${head('Content-Length: 4\t', 'X-Own: yes')}good` },
    'a tab behind chunked': { answer: head('X-Own: yes', 'Transfer-Encoding: chunked\t') + CHUNKS },
    'an empty element behind chunked': { answer: head('Transfer-Encoding: chunked,') + CHUNKS },
    'a tab behind close': { answer: `${head('Content-Length: 4', 'Connection: close\t')}good`, last: true },
    'a semicolon behind close': { answer: `${head('Connection: close;', 'Content-Length: 4')}good`, last: true },
    'several spaces before the status': { answer: OK.replace(' 200', '   200'), last: true },
  }),
  ...kind('framing that the version or the status rules out', {
    'chunked in HTTP/1.0': { answer: (head('Transfer-Encoding: chunked') + CHUNKS).replace('1.1', '1.0'), last: true },
    'a length of 204 that is no number': {
      answer: head('Content-Length: none').replace('200 OK', '204 No Content'),
      content: '',
      last: true,
    },
    'two lengths of 304': {
      answer: head('Content-Length: 4', 'Content-Length: 5').replace('200 OK', '304 Not Modified'),
      content: '',
      last: true,
    },
  }),
]
