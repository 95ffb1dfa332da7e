/** For tests: responses that two readers could read in two ways, each with the section it breaks. Every one is `origin-invalid`. */
import type { Rule } from '../rules.ts'

/** The request that is answered: a GET that asks for no upgrade, unless told otherwise. */
export interface Asked {
  method?: string
  upgrade?: boolean
}

export const ok = (fields: string) => `HTTP/1.1 200 OK\r\n${fields}\r\n`
export const status = (line: string, fields = '') => `${line}\r\n${fields}\r\n`

/** As latin1 text, one character a byte. */
export type RefusedResponse = [title: string, message: string, rule: Rule, asked?: Asked]

export const REFUSED_RESPONSES: readonly RefusedResponse[] = [
  ['RFC 9112 §4: no version', status('200 OK'), 'status-line'],
  ['RFC 9112 §4: a version in lower case', status('http/1.1 200 OK'), 'status-line'],
  ['RFC 9112 §4: another protocol', status('ICY 200 OK'), 'status-line'],
  ['RFC 9112 §4: an empty line before', `\r\n${ok('')}`, 'status-line'],
  ['RFC 9112 §4: spaces where the status is', status('HTTP/1.1  OK'), 'status-line'],
  ['RFC 9112 §4: a tab before the status', status('HTTP/1.1\t200 OK'), 'status-line'],
  ['RFC 9112 §4: two digits', status('HTTP/1.1 20 OK'), 'status-line'],
  ['RFC 9112 §4: four digits', status('HTTP/1.1 2000 OK'), 'status-line'],
  ['RFC 9112 §4: a signed status', status('HTTP/1.1 +20 OK'), 'status-line'],
  ['RFC 9112 §4: a tab behind the status', status('HTTP/1.1 200\tOK'), 'status-line'],
  ['RFC 9112 §4: NUL within the reason', status('HTTP/1.1 200 O\0K'), 'status-line'],
  ['RFC 9110 §15: status 000', status('HTTP/1.1 000 OK'), 'status-code'],
  ['RFC 9110 §15: status 099', status('HTTP/1.1 099 OK'), 'status-code'],
  ['RFC 9110 §2.5: HTTP/2.0', status('HTTP/2.0 200 OK'), 'version-unsupported'],
  ['RFC 9110 §2.5: HTTP/1.2', status('HTTP/1.2 200 OK'), 'version-unsupported'],
  ['RFC 9112 §2.2: CR alone splits the response', `HTTP/1.1 200 OK\rSet-Cookie: a=b\r\n\r\n`, 'line-bare-cr'],
  ['RFC 9112 §2.2: CR alone within a value', ok('Location: /a\rSet-Cookie: b=c\r\n'), 'line-bare-cr'],
  ['RFC 9110 §5.1: a space within a name', ok('Content Length: 5\r\n'), 'field-name-space'],
  ['RFC 9112 §2.2: white space before the first field', ok(' X: a\r\n'), 'field-fold'],
  ['RFC 9112 §2.2: CR alone ends the section', 'HTTP/1.1 200 OK\r\n\rX: a\r\n\r\n', 'line-bare-cr'],
  ['RFC 9112 §5.2: CR alone within a fold', ok('X: a\r\n b\rc\r\n'), 'line-bare-cr'],
  ['RFC 9112 §5.2: a length that goes on in a fold', ok('Content-Length: 5\r\n 0\r\n'), 'content-length-syntax'],
  ['RFC 9112 §5.2: another coding in a fold', ok('Transfer-Encoding: chunked,\r\n gzip\r\n'), 'transfer-coding'],
  [
    'RFC 9112 §2.2: LF ends a line, and two lengths differ',
    ok('Content-Length: 5\nContent-Length: 6\n'),
    'content-length-repeated',
  ],
  ['RFC 9110 §5.5: NUL within a value', ok('X: a\0\r\n'), 'field-value-control'],
  ['RFC 9110 §5.5: NUL behind another control character', ok('X: \x01\0\r\n'), 'field-value-control'],
  ['RFC 9110 §5.5: NUL within a fold', ok('X: a\r\n \0\r\n'), 'field-value-control'],
  ['RFC 9110 §5.5: CR alone behind a control character', ok('X: \x01\rY: a\r\n'), 'line-bare-cr'],
  ['RFC 9110 §5.5: a control character within a name', ok('X\x01: a\r\n'), 'field-name-token'],
  ['RFC 9110 §5.5: VT behind a length', ok('Content-Length: 5\x0b\r\n'), 'field-value-control'],
  ['RFC 9110 §5.5: a control character before a length', ok('Content-Length:\x015\r\n'), 'field-value-control'],
  ['RFC 9110 §5.5: FF between two lengths', ok('content-length : 5\x0c5\n'), 'field-value-control'],
  ['RFC 9110 §5.5: VT behind chunked', ok('Transfer-Encoding: chunked\x0b\r\n'), 'field-value-control'],
  ['RFC 9110 §5.5: DEL within a coding', ok('Transfer-Encoding: chun\x7fked\r\n'), 'field-value-control'],
  ['RFC 9110 §5.5: VT in a fold of a length', ok('Content-Length:\r\n 5\x0b\r\n'), 'field-value-control'],
  ['RFC 3875 §4.1.18: Content_Length', ok('Content_Length: 5\r\n'), 'field-name-lookalike'],
  ['RFC 9110 §8.6: a list of lengths that differ', ok('Content-Length: 5, 6\r\n'), 'content-length-repeated'],
  ['RFC 9110 §8.6: a list with an empty length', ok('Content-Length: 5,\r\n'), 'content-length-syntax'],
  ['RFC 9110 §8.6: two lengths in one line', ok('Content-Length: 5 5\r\n'), 'content-length-syntax'],
  ['RFC 9110 §5.6.3: a length beside a no-break space', ok('Content-Length: 5,\xa05\r\n'), 'content-length-syntax'],
  [
    'RFC 9112 §6.1: chunked, then gzip',
    ok('Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n'),
    'transfer-coding',
  ],
  ['RFC 9112 §6.1: chunked twice, and gzip', ok('Transfer-Encoding: chunked, gzip, chunked\r\n'), 'transfer-coding'],
  [
    'RFC 9112 §6.3: a length, and a coding that is none of ours',
    ok('Content-Length: 5\r\nTransfer-Encoding: gzip\r\n'),
    'transfer-coding',
  ],
  ['RFC 9112 §6.3: two lengths', ok('Content-Length: 5\r\nContent-Length: 6\r\n'), 'content-length-repeated'],
  [
    'RFC 9110 §8.6: a length of a HEAD is judged too',
    ok('Content-Length: x\r\n'),
    'content-length-syntax',
    { method: 'HEAD' },
  ],
  ['RFC 9112 §6.1: gzip, chunked', ok('Transfer-Encoding: gzip, chunked\r\n'), 'transfer-coding'],
  [
    'RFC 9110 §15.2.2: 101 nobody asked for',
    status('HTTP/1.1 101 S', 'Connection: upgrade\r\nUpgrade: websocket\r\n'),
    'upgrade-unasked',
  ],
  [
    'RFC 9110 §7.8: 101 without Upgrade',
    status('HTTP/1.1 101 S', 'Connection: upgrade\r\n'),
    'upgrade-fields',
    { upgrade: true },
  ],
  [
    'RFC 9110 §7.8: 101 without Connection',
    status('HTTP/1.1 101 S', 'Upgrade: websocket\r\n'),
    'upgrade-fields',
    { upgrade: true },
  ],
]

/** As latin1 text: a head as embedded servers, CGI programs and older frameworks send it, and the same in clean form. */
export type ToleratedResponse = [title: string, message: string, clean: string]

/** Responses that can be understood in one way only: read, and written anew in clean form. */
export const TOLERATED_RESPONSES: readonly ToleratedResponse[] = [
  ['RFC 9112 §2.2: LF ends each line', 'HTTP/1.1 200 OK\nX: a\nY: b\n\n', ok('X: a\r\nY: b\r\n')],
  ['RFC 9112 §2.2: LF ends the status line', 'HTTP/1.1 200 OK\nX: a\r\n\r\n', ok('X: a\r\n')],
  ['RFC 9112 §2.2: LF behind the status', 'HTTP/1.1 200\nX: a\r\n\r\n', status('HTTP/1.1 200 ', 'X: a\r\n')],
  [
    'RFC 9112 §2.2: LF ends a field',
    ok('Location: /a\nSet-Cookie: b=c\r\n'),
    ok('Location: /a\r\nSet-Cookie: b=c\r\n'),
  ],
  ['RFC 9112 §2.2: LF ends the section', 'HTTP/1.1 200 OK\r\nX: a\r\n\n', ok('X: a\r\n')],
  ['RFC 9112 §2.2: LF, and no fields', 'HTTP/1.1 204 No Content\n\n', status('HTTP/1.1 204 No Content')],
  ['RFC 9112 §4: several spaces before the status', status('HTTP/1.1   200 OK', 'X: a\r\n'), ok('X: a\r\n')],
  ['RFC 9110 §7.6.1: a tab behind close', ok('Connection: close\t\r\n'), ok('Connection: close\r\n')],
  ['RFC 9110 §7.6.1: a tab between options', ok('Connection: x-a\t,\tclose\r\n'), ok('Connection: x-a, close\r\n')],
  ['RFC 9110 §7.6.1: a semicolon behind close', ok('Connection: close;\r\n'), ok('Connection: close\r\n')],
  ['RFC 9110 §7.6.1: what is no option', ok('Connection: keep-alive; timeout=5\r\n'), ok('Connection: close\r\n')],
  ['RFC 9110 §5.6.3: a tab behind a length', ok('Content-Length: 5\t\r\n'), ok('Content-Length: 5\r\n')],
  [
    'RFC 9110 §5.6.3: a tab behind chunked',
    ok('Transfer-Encoding: chunked \t\r\n'),
    ok('Transfer-Encoding: chunked\r\n'),
  ],
  [
    'RFC 9110 §5.6.1.2: empty elements around chunked',
    ok('Transfer-Encoding: ,chunked,\t,\r\n'),
    ok('Transfer-Encoding: chunked\r\n'),
  ],
  ...[0x01, 0x02, 0x07, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f].map((code): ToleratedResponse => {
    const character = String.fromCharCode(code)
    return [
      `RFC 9110 §5.5: 0x${code.toString(16).padStart(2, '0')} within values and the reason`,
      status(`HTTP/1.1 200 O${character}K`, `X: ${character}a${character}b\r\nY: c${character}\r\nZ: d\r\n`),
      status('HTTP/1.1 200 O K', 'X: a b\r\nY: c\r\nZ: d\r\n'),
    ]
  }),
  ['RFC 9110 §5.5: a value of control characters alone', ok('X: \x01\x02\r\nY: a\r\n'), ok('X:\r\nY: a\r\n')],
  ['RFC 9110 §5.5: control characters in a fold, with LF', ok('X: a\n \x0bb\n'), ok('X: a  b\r\n')],
  [
    'RFC 9110 §5.5: an escape sequence in a cookie',
    ok('Set-Cookie: a=\x1b[0mb; Path=/\r\nContent-Length: 5\r\n'),
    ok('Set-Cookie: a= [0mb; Path=/\r\nContent-Length: 5\r\n'),
  ],
  ['RFC 9110 §5.5: VT behind close', ok('Connection: close\x0b\r\n'), ok('Connection: close\r\n')],
  ['RFC 9112 §5.1: a space before the colon', ok('Content-Length : 5\r\n'), ok('Content-Length: 5\r\n')],
  ['RFC 9112 §5.1: tabs before the colon', ok('X\t \t:a\r\nY: b\r\n'), ok('X: a\r\nY: b\r\n')],
  [
    'RFC 9112 §5.1: a space before the colon of a coding',
    ok('Transfer-Encoding : chunked\r\n'),
    ok('Transfer-Encoding: chunked\r\n'),
  ],
  ['RFC 9112 §5.2: a folded value', ok('X: a\r\n b\r\n'), ok('X: a b\r\n')],
  ['RFC 9112 §5.2: a value that is a fold alone', ok('X:\r\n\ta\r\nY: b\r\n'), ok('X: a\r\nY: b\r\n')],
  ['RFC 9112 §5.2: folds with LF, and empty ones', ok('X: a \n  \n \t b\n \r\n'), ok('X: a b\r\n')],
  ['RFC 9112 §5.2: a folded length', ok('Content-Length:\r\n 5\r\n'), ok('Content-Length: 5\r\n')],
  ['RFC 9112 §5.2: a fold of bytes above 127', ok('X: \xa0\r\n \xa0\r\n'), ok('X: \xa0 \xa0\r\n')],
  [
    'RFC 9112 §6.3: the same length twice',
    ok('Content-Length: 5\r\nX: a\r\nContent-Length: 05\r\n'),
    ok('Content-Length: 5\r\nX: a\r\n'),
  ],
  ['RFC 9110 §8.6: a list of the same length', ok('Content-Length: 5, 5,5\r\n'), ok('Content-Length: 5\r\n')],
  [
    'RFC 9112 §6.1: chunked in two lines',
    ok('Transfer-Encoding: chunked\r\ntransfer-encoding: Chunked\r\n'),
    ok('Transfer-Encoding: chunked\r\n'),
  ],
  [
    'RFC 9112 §6.1: chunked in a list, twice',
    ok('Transfer-Encoding: chunked, chunked\r\n'),
    ok('Transfer-Encoding: chunked\r\n'),
  ],
  [
    'RFC 9112 §6.3: a length before the coding',
    ok('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'),
    ok('Transfer-Encoding: chunked\r\n'),
  ],
  [
    'RFC 9112 §6.3: two lengths beside the coding, and one of them is none',
    ok('Transfer-Encoding: chunked\r\nContent-Length: x\r\nContent-Length: 7\r\n'),
    ok('Transfer-Encoding: chunked\r\n'),
  ],
]
