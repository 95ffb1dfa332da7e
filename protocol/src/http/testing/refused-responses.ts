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
  ['RFC 9112 §4: two spaces before the status', status('HTTP/1.1  200 OK'), 'status-line'],
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
  ['RFC 9112 §2.2: LF alone ends the status line', `HTTP/1.1 200 OK\nX: a\r\n\r\n`, 'line-bare-lf'],
  ['RFC 9112 §2.2: LF alone behind the status', `HTTP/1.1 200\nX: a\r\n\r\n`, 'line-bare-lf'],
  ['RFC 9112 §2.2: CR alone splits the response', `HTTP/1.1 200 OK\rSet-Cookie: a=b\r\n\r\n`, 'line-bare-cr'],
  ['RFC 9112 §2.2: CR alone within a value', ok('Location: /a\rSet-Cookie: b=c\r\n'), 'line-bare-cr'],
  ['RFC 9112 §2.2: LF alone within a value', ok('Location: /a\nSet-Cookie: b=c\r\n'), 'line-bare-lf'],
  ['RFC 9112 §5.1: a space before the colon', ok('Content-Length : 5\r\n'), 'field-name-space'],
  ['RFC 9112 §5.2: a folded value', ok('X: a\r\n b\r\n'), 'field-fold'],
  ['RFC 9110 §5.5: NUL within a value', ok('X: a\0\r\n'), 'field-value-control'],
  ['RFC 3875 §4.1.18: Content_Length', ok('Content_Length: 5\r\n'), 'field-name-lookalike'],
  ['RFC 9112 §6.3: length and coding', ok('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'), 'framing-both'],
  ['RFC 9112 §6.3: two lengths', ok('Content-Length: 5\r\nContent-Length: 6\r\n'), 'content-length-repeated'],
  ['RFC 9110 §8.6: a list of lengths', ok('Content-Length: 5, 5\r\n'), 'content-length-syntax'],
  [
    'RFC 9110 §8.6: a length of a HEAD is judged too',
    ok('Content-Length: x\r\n'),
    'content-length-syntax',
    { method: 'HEAD' },
  ],
  ['RFC 9112 §6.1: gzip, chunked', ok('Transfer-Encoding: gzip, chunked\r\n'), 'transfer-coding'],
  [
    'RFC 9112 §6.1: coding in HTTP/1.0',
    status('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked\r\n'),
    'transfer-encoding-version',
  ],
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
