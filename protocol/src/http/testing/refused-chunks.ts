/** For tests: chunked bodies that two readers could read in two ways, each with the section it breaks and the one answer that is given here. */
import { CHUNK_LINE_BYTES, HEAD_FIELDS, RESPONSE_CHUNK_LINE_BYTES, TRAILER_BYTES } from '../../limits.ts'
import type { Rule } from '../rules.ts'

/** As latin1 text, one character a byte. `ofResponse`: the rule by which a response is refused, where it is another one than a request's. */
export type RefusedChunks = [title: string, body: string, rule: Rule, ofResponse?: Rule]

/** A chunk line of so many bytes. */
export const line = (length: number) => `1;${'a'.repeat(length - 4)}\r\n`
/** The last chunk with a trailer section of so many bytes. */
export const trailer = (length: number) => `0\r\nX: ${'a'.repeat(length - 7)}\r\n\r\n`

export const REFUSED_CHUNKS: readonly RefusedChunks[] = [
  ['RFC 9112 §7.1: no size', '\r\n', 'chunk-size'],
  ['RFC 9112 §7.1: a space for the size', ' 5\r\nabcde\r\n0\r\n\r\n', 'chunk-size'],
  ['RFC 9112 §7.1: 0x', '0x5\r\nabcde\r\n0\r\n\r\n', 'chunk-size'],
  ['RFC 9112 §7.1: a sign', '+5\r\nabcde\r\n0\r\n\r\n', 'chunk-size'],
  ['RFC 9112 §7.1: a negative size', '-1\r\n', 'chunk-size'],
  ['RFC 9112 §7.1: a letter beyond f', '5g\r\n', 'chunk-size'],
  ['RFC 9112 §7.1: an underscore', '1_0\r\n', 'chunk-size'],
  ['RFC 9112 §7.1: a comma', '5,5\r\n', 'chunk-size'],
  ['RFC 9112 §7.1: NUL', '5\0\r\n', 'chunk-size'],
  ['RFC 9112 §7.1: 2^53', '20000000000000\r\n', 'chunk-size-huge'],
  ['RFC 9112 §7.1: 2^64 + 5', '10000000000000005\r\n', 'chunk-size-huge'],
  ['RFC 9112 §7.1: LF alone for the size', '\n', 'line-bare-lf', 'chunk-size'],
  ['RFC 9112 §7.1: CR alone behind the size', '5\rabcde', 'line-bare-cr'],
  ['RFC 9112 §7.1: CR alone behind the data', '1\r\na\r0\r\n\r\n', 'line-bare-cr'],
  ['RFC 9112 §7.1: data longer than its size', '1\r\nab\r\n0\r\n\r\n', 'chunk-end'],
  ['RFC 9112 §7.1: CR alone ends the trailer', '0\r\n\rx', 'line-bare-cr'],
  ['RFC 9112 §7.1.1: LF alone within a quoted value', '5;a="\n"\r\n', 'line-bare-lf', 'chunk-extension'],
  ['RFC 9112 §7.1.1: CR alone within an extension', '5;a\rb', 'line-bare-cr'],
  ['RFC 9112 §7.1.1: CR within a quoted value', '5;a="\r\n', 'chunk-extension'],
  ['RFC 9112 §7.1.1: NUL within an extension', '5;a\0\r\n', 'chunk-extension'],
  ['RFC 9112 §7.1.1: zeros without end', '0'.repeat(CHUNK_LINE_BYTES), 'chunk-line-bytes'],
  ['RFC 9112 §7.1.2: a trailer without a colon', '0\r\nabc\r\n\r\n', 'field-name-token'],
  ['RFC 9112 §7.1.2: CR alone within the trailer', '0\r\nX: a\rb\r\n', 'line-bare-cr'],
  ['RFC 9112 §7.1.2: NUL within the trailer', '0\r\nX: \0\r\n\r\n', 'field-value-control'],
  ['RFC 9112 §7.1.2: one field more', `0\r\n${'X:\r\n'.repeat(HEAD_FIELDS + 1)}\r\n`, 'trailer-fields'],
  ['RFC 9112 §7.1.2: a section of one byte more', trailer(TRAILER_BYTES + 1), 'trailer-bytes'],
  ...[
    '5h',
    'x5',
    '#5',
    '"5"',
    '5.0',
    '-5',
    '--5',
    '5-',
    '5,',
    '5L',
    '٥',
    '0x05',
    '\u00a05',
    '\t5',
    '\x0b5',
    '\x005',
    '5\x0b',
    '5\x0c',
    '5=',
    '5:',
    '5/',
    '5&a',
    '{5}',
  ].map(
    (size): RefusedChunks => [
      `RFC 9112 §7.1: a chunk of size ${JSON.stringify(size)}`,
      `${Buffer.from(size).toString('latin1')}\r\nabcde\r\n0\r\n\r\n`,
      'chunk-size',
    ],
  ),
  ...['FFFFFFFFFFFFFFFF', 'ffffffffffffffff0', '8000000000000000', '1'.repeat(100)].map(
    (size): RefusedChunks => [
      `RFC 9112 §7.1: a chunk of size ${size.slice(0, 20)}`,
      `${size}\r\nabcde\r\n0\r\n\r\n`,
      'chunk-size-huge',
    ],
  ),
  ['RFC 9112 §7.1: data shorter than its size', '6\r\nabcde\r\n0\r\n\r\n', 'line-bare-lf', 'chunk-end'],
  ['RFC 9112 §7.1: no CRLF behind the data', '5\r\nabcde0\r\n\r\n', 'chunk-end'],
  ['RFC 9112 §7.1: CR CR LF behind the data', '5\r\nabcde\r\r\n0\r\n\r\n', 'line-bare-cr'],
  ['RFC 9112 §7.1: CR CR LF behind the size', '5\r\r\nabcde\r\n0\r\n\r\n', 'line-bare-cr'],
  ['RFC 9112 §7.1: an empty line between chunks', '1\r\na\r\n\r\n0\r\n\r\n', 'chunk-size'],
  ['RFC 9112 §7.1: a request where the last chunk should be', '1\r\na\r\nGET / HTTP/1.1\r\n', 'chunk-size'],
  [
    'RFC 9112 §7.1.1: LF alone hides a chunk in an extension',
    '0;\n5\r\nabcde\r\n0\r\n\r\n',
    'line-bare-lf',
    'field-name-token',
  ],
  [
    'RFC 9112 §7.1.1: LF within a quoted value that goes on',
    '5;a="b\nabcde\r\n0\r\n\r\n"\r\n',
    'line-bare-lf',
    'chunk-extension',
  ],
  ['RFC 9112 §7.1.1: NUL within a quoted value', '5;a="\0"\r\n', 'chunk-extension'],
  [
    'RFC 9112 §7.1.1: a line without end',
    `5;${'a'.repeat(RESPONSE_CHUNK_LINE_BYTES)}`,
    'chunk-line-bytes',
    'response-chunk-line-bytes',
  ],
  [
    'RFC 9112 §7.1.1: white space without end',
    `5${' '.repeat(RESPONSE_CHUNK_LINE_BYTES)}`,
    'chunk-space',
    'response-chunk-line-bytes',
  ],
  [
    'RFC 9112 §7.1.2: a section that is of one byte more in clean form',
    `0\r\nX: ${'a'.repeat(TRAILER_BYTES - 6)}\n\r\n`,
    'line-bare-lf',
    'trailer-bytes',
  ],
  ['RFC 9112 §7.1.2: white space before the first trailer', '0\r\n X: a\r\n\r\n', 'field-fold'],
  ['RFC 9112 §7.1.2: white space before the first trailer, with LF', '0\n X: a\n\n', 'line-bare-lf', 'field-fold'],
  ['RFC 9112 §7.1.2: CR alone within a fold', '0\r\nX: a\r\n b\rc\r\n\r\n', 'field-fold', 'line-bare-cr'],
  ['RFC 9112 §5.1: white space within a name', '0\r\nX Y: a\r\n\r\n', 'field-name-space'],
  ['RFC 9112 §5.1: white space and no colon', '0\r\nX \r\n\r\n', 'field-name-space'],
  ['RFC 9112 §7.1.1: a quoted value without end', '5;a="b\r\nabcde\r\n0\r\n\r\n', 'chunk-extension'],
  ['RFC 9112 §7.1.1: CRLF behind a backslash', '5;a="\\\r\n"\r\nabcde\r\n0\r\n\r\n', 'chunk-extension'],
  [
    'RFC 9112 §7.1.2: a request where the trailer should be',
    '0\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n',
    'field-name-space',
  ],
  ['RFC 9112 §7.1.2: a trailer without a name', '0\r\n: a\r\n\r\n', 'field-name-token'],
]

/** Refused in a request; read in a response, where `clean` is what passes on. */
export type ToleratedChunks = [title: string, body: string, rule: Rule, clean: string]

const CLEAN = '5\r\nabcde\r\n0\r\n\r\n'
/** A chunk with this line, and the last one. */
const withLine = (text: string) => `${text}\r\nabcde\r\n0\r\n\r\n`
/** The last chunk with these trailers. */
const withTrailers = (text: string) => `0\r\n${text}`

/** LF for CRLF, and odd trailers: readers may differ on these, so the connection carries no other request. */
export const ODD_CHUNKS: readonly ToleratedChunks[] = [
  ['RFC 9112 §7.1: LF alone behind the size', '5\nabcde\r\n0\r\n\r\n', 'line-bare-lf', CLEAN],
  ['RFC 9112 §7.1: LF alone behind the data', '5\r\nabcde\n0\r\n\r\n', 'line-bare-lf', CLEAN],
  ['RFC 9112 §7.1: LF alone behind the last size', '5\r\nabcde\r\n0\n\r\n', 'line-bare-lf', CLEAN],
  ['RFC 9112 §7.1: LF alone ends the trailer', '5\r\nabcde\r\n0\r\n\n', 'line-bare-lf', CLEAN],
  ['RFC 9112 §7.1: LF alone everywhere', '5\nabcde\n0\n\n', 'line-bare-lf', CLEAN],
  ['RFC 9112 §7.1: LF alone behind data with CR', '5\r\nab\rde\n0\r\n\r\n', 'line-bare-lf', '5\r\nab\rde\r\n0\r\n\r\n'],
  ['RFC 9112 §7.1.1: LF alone behind white space', '5  \nabcde\r\n0\t\n\r\n', 'chunk-space', CLEAN],
  ['RFC 9112 §7.1.1: LF alone within an extension', '5;a\nabcde\r\n0\r\n\r\n', 'line-bare-lf', withLine('5;a')],
  ['RFC 9112 §7.1.1: LF alone behind an extension', '5;a=b\nabcde\r\n0\r\n\r\n', 'line-bare-lf', withLine('5;a=b')],
  ['RFC 9112 §7.1.1: LF alone behind an extension that goes', '5;=\nabcde\r\n0;\n\r\n', 'chunk-extension', CLEAN],
  [
    'RFC 9112 §7.1.2: LF alone within the trailer',
    withTrailers('X: a\n\r\n'),
    'line-bare-lf',
    withTrailers('X: a\r\n\r\n'),
  ],
  [
    'RFC 9112 §7.1.2: LF alone for the section',
    withTrailers('X: a\r\n\n'),
    'line-bare-lf',
    withTrailers('X: a\r\n\r\n'),
  ],
  [
    'RFC 9112 §7.1.2: LF alone, and a field that goes',
    withTrailers('Host: b\nX: a\n\n'),
    'line-bare-lf',
    withTrailers('X: a\r\n\r\n'),
  ],
  ['RFC 9112 §5.2: a folded trailer', withTrailers('X: a\r\n b\r\n\r\n'), 'field-fold', withTrailers('X: a b\r\n\r\n')],
  [
    'RFC 9112 §5.2: a trailer that is a fold alone',
    withTrailers('X:\r\n\ta\r\nY: b\r\n\r\n'),
    'field-fold',
    withTrailers('X: a\r\nY: b\r\n\r\n'),
  ],
  [
    'RFC 9112 §5.2: folds of a trailer with LF, and empty ones',
    withTrailers('X: a \n  \n \t b\n \n\n'),
    'line-bare-lf',
    withTrailers('X: a b\r\n\r\n'),
  ],
  [
    'RFC 9112 §5.2: a fold of a field that goes',
    withTrailers('X: a\r\nHost: b\r\n c\r\nY: d\r\n\r\n'),
    'field-fold',
    withTrailers('X: a\r\nY: d\r\n\r\n'),
  ],
  [
    'RFC 9112 §5.1: a space before the colon of a trailer',
    withTrailers('X : a\r\n\r\n'),
    'field-name-space',
    withTrailers('X: a\r\n\r\n'),
  ],
  [
    'RFC 9112 §5.1: white space before the colon of a field that goes',
    withTrailers('Content-Length \t: 7\r\nX\t: a\r\n\r\n'),
    'field-name-space',
    withTrailers('X: a\r\n\r\n'),
  ],
  ...[0x01, 0x08, 0x0b, 0x0c, 0x0e, 0x1f, 0x7f].map(
    (code): ToleratedChunks => [
      `RFC 9110 §5.5: 0x${code.toString(16).padStart(2, '0')} within the trailer`,
      withTrailers(`X: a${String.fromCharCode(code)}b\r\n\r\n`),
      'field-value-control',
      withTrailers('X: a b\r\n\r\n'),
    ],
  ),
]

/** White space in chunk lines, and extensions that are none: the length is certain. */
export const TOLERATED_CHUNKS: readonly ToleratedChunks[] = [
  ['RFC 9112 §7.1.1: an extension without a name', withLine('5;'), 'chunk-extension', CLEAN],
  [
    'RFC 9112 §7.1.1: an extension without a name, of the last chunk',
    '5\r\nabcde\r\n0;\r\n\r\n',
    'chunk-extension',
    CLEAN,
  ],
  ['RFC 9112 §7.1.1: an extension without a value', withLine('5;a='), 'chunk-extension', CLEAN],
  ['RFC 9112 §7.1.1: a word behind a quoted value', withLine('5;a="b"c'), 'chunk-extension', CLEAN],
  ['RFC 9112 §7.1.1: two words', withLine('5;a b'), 'chunk-space', CLEAN],
  ['RFC 9112 §7.1.1: two semicolons', withLine('5;;a'), 'chunk-extension', CLEAN],
  ['RFC 9112 §7.1.1: a semicolon at the end', withLine('5;a;'), 'chunk-extension', CLEAN],
  ['RFC 9112 §7.1.1: two equals signs', withLine('5;a==b'), 'chunk-extension', CLEAN],
  ['RFC 9112 §7.1.1: bytes above 127', withLine('5;\xe4'), 'chunk-extension', CLEAN],
  ['RFC 9112 §7.1.1: DEL within an extension', withLine('5;a\x7f'), 'chunk-extension', CLEAN],
  ['RFC 9112 §7.1.1: a control character within a quoted value', withLine('5;a="\x01"'), 'chunk-extension', CLEAN],
  ['RFC 9112 §7.1.1: quotes behind a backslash, and no name', withLine('5;"\\"\\\\";a'), 'chunk-extension', CLEAN],
  [
    'RFC 9112 §7.1.1: a line of one byte more',
    withLine(`5;${'a'.repeat(CHUNK_LINE_BYTES - 3)}`),
    'chunk-line-bytes',
    CLEAN,
  ],
  ['RFC 9112 §7.1.1: white space of 300 bytes', withLine(`5${' '.repeat(300)}`), 'chunk-space', CLEAN],
  [
    'RFC 9112 §7.1.1: the longest line of a response',
    withLine(`5;${'a'.repeat(RESPONSE_CHUNK_LINE_BYTES - 4)}`),
    'chunk-line-bytes',
    CLEAN,
  ],
  [
    'RFC 9112 §7.1.1: white space behind the size',
    '5 \r\nabcde\r\n0\r\n\r\n',
    'chunk-space',
    '5\r\nabcde\r\n0\r\n\r\n',
  ],
  [
    'RFC 9112 §7.1.1: sizes padded to eight characters',
    '5       \r\nabcde\r\n0       \r\n\r\n',
    'chunk-space',
    '5\r\nabcde\r\n0\r\n\r\n',
  ],
  [
    'RFC 9112 §7.1.1: white space before an extension',
    '5 ;a\r\nabcde\r\n0\r\n\r\n',
    'chunk-space',
    '5;a\r\nabcde\r\n0\r\n\r\n',
  ],
  [
    'RFC 9112 §7.1.1: white space behind the semicolon',
    '5; a\r\nabcde\r\n0\r\n\r\n',
    'chunk-extension',
    '5;a\r\nabcde\r\n0\r\n\r\n',
  ],
  ['RFC 9112 §7.1: a size of zeros and a space', '00 \r\n\r\n', 'chunk-space', '00\r\n\r\n'],
  ['RFC 9112 §7.1: a tab behind the size', '5\t\r\nabcde\r\n0\r\n\r\n', 'chunk-space', '5\r\nabcde\r\n0\r\n\r\n'],
  [
    'RFC 9112 §7.1.1: white space around the equals sign',
    '5;a = b\r\nabcde\r\n0\r\n\r\n',
    'chunk-space',
    '5;a=b\r\nabcde\r\n0\r\n\r\n',
  ],
  [
    'RFC 9112 §7.1.1: white space behind the equals sign',
    '5;a= b\r\nabcde\r\n0\r\n\r\n',
    'chunk-extension',
    '5;a=b\r\nabcde\r\n0\r\n\r\n',
  ],
  [
    'RFC 9112 §7.1.1: white space behind a quoted value, and a trailer',
    '5;a=" b" \t\r\nab de\r\n0 \r\nX: y\r\n\r\n',
    'chunk-space',
    '5;a=" b"\r\nab de\r\n0\r\nX: y\r\n\r\n',
  ],
]

/** Lines of a trailer section that do not pass on: fields of framing, routing, forwarding and the connection, and what resembles them. */
export const DROPPED_TRAILERS: readonly [title: string, line: string][] = [
  ['RFC 9110 §6.5.1: a length in the trailer', 'Content-Length: 5'],
  ['RFC 9110 §6.5.1: a coding in the trailer', 'transfer-encoding: chunked'],
  ['RFC 9110 §6.5.1: Host in the trailer', 'Host: b.example'],
  ['RFC 9110 §6.5.1: X-Forwarded-For in the trailer', 'X-Forwarded-For: 10.0.0.1'],
  ['RFC 9110 §6.5.1: any X-Forwarded in the trailer', `X-Forwarded-${'a'.repeat(50)}: 1`],
  ['RFC 9110 §6.5.1: Connection in the trailer', 'Connection: close'],
  ['RFC 9110 §6.5.1: Postern-Request-Id in the trailer', 'Postern-Request-Id: 1'],
  ['RFC 6265 §4.2: Cookie in the trailer', 'Cookie: a=b'],
  ['RFC 9110 §6.5.1: Via in the trailer', 'Via: 1.1 a'],
  ['RFC 9110 §6.5.1: TE in the trailer', 'TE: trailers'],
  ['RFC 9110 §6.5.1: Expect in the trailer', 'Expect: 100-continue'],
  ['RFC 9209 §2.1: Proxy-Status in the trailer', 'Proxy-Status: a; error=b'],
  ['RFC 6265 §4.1: Set-Cookie in the trailer', 'Set-Cookie: a=b; Domain=example'],
  ['RFC 3875 §4.1.18: Content_Length in the trailer', 'Content_Length: 5'],
  ['RFC 3875 §4.1.18: Transfer_Encoding in the trailer', 'Transfer_Encoding: chunked'],
  ['RFC 3875 §4.1.18: X_Forwarded_For in the trailer', 'X_Forwarded_For: 10.0.0.1'],
]
