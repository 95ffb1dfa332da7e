/** Answers that are refused although curl or nginx takes some of them: each with the rule, and what the two do. Knows nothing of who reads them. */
import type { Rule } from '@postern/protocol/http'

type Others = 'both take it' | 'curl takes it' | 'nginx takes it' | 'neither takes it'

export interface RefusedAnswer {
  readonly title: string
  /** As latin1 text. Its content is `good` to a reader that takes it. */
  readonly answer: string
  readonly rule: Rule
  readonly where: string
  /** Whether curl 7.88 gets the content, directly and from nginx 1.22 as a proxy. */
  readonly others: Others
}

const HEAD = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
const chunked = (title: string, body: string, rule: Rule, where: string, others: Others): RefusedAnswer => ({
  title,
  answer: HEAD + body,
  rule,
  where: `in ${where}`,
  others,
})
const inChunk = (title: string, body: string, rule: Rule, others: Others, chunk = 1): RefusedAnswer =>
  chunked(title, body, rule, `chunk ${chunk} of the body`, others)
const inTrailer = (title: string, section: string, rule: Rule, others: Others): RefusedAnswer =>
  chunked(title, `4\r\ngood\r\n0\r\n${section}\r\n`, rule, 'line 1 of the trailers', others)
const inHead = (title: string, line: string, rule: Rule, others: Others): RefusedAnswer => ({
  title,
  answer: `HTTP/1.1 200 OK\r\n${line}\r\nContent-Length: 4\r\n\r\ngood`,
  rule,
  where: 'in line 2 of the head',
  others,
})

export const REFUSED_ANSWERS: readonly RefusedAnswer[] = [
  // At least one of the two refuses these.
  inChunk('CR alone behind a size', '4\rgood\r\n0\r\n\r\n', 'line-bare-cr', 'neither takes it'),
  inChunk('CR CR LF behind a size', '4\r\r\ngood\r\n0\r\n\r\n', 'line-bare-cr', 'curl takes it'),
  inChunk('CR alone behind data', '4\r\ngood\r0\r\n\r\n', 'line-bare-cr', 'neither takes it'),
  inChunk('CR CR LF behind data', '4\r\ngood\r\r\n0\r\n\r\n', 'line-bare-cr', 'curl takes it'),
  inChunk('nothing behind data', '4\r\ngood0\r\n\r\n', 'chunk-end', 'neither takes it'),
  inChunk('an empty line between chunks', '4\r\ngood\r\n\r\n0\r\n\r\n', 'chunk-size', 'neither takes it', 2),
  inChunk('white space before a size', ' 4\r\ngood\r\n0\r\n\r\n', 'chunk-size', 'neither takes it'),
  inChunk('a comma behind a size', '4,4\r\ngood\r\n0\r\n\r\n', 'chunk-size', 'curl takes it'),
  inChunk(
    'a size of 300 digits',
    `${'4'.padStart(300, '0')}\r\ngood\r\n0\r\n\r\n`,
    'chunk-line-bytes',
    'nginx takes it',
  ),
  inChunk('CR within an extension', '4;a\rb\r\ngood\r\n0\r\n\r\n', 'line-bare-cr', 'curl takes it'),
  inTrailer('no colon in a trailer', 'abc\r\n', 'field-name-token', 'nginx takes it'),
  inTrailer('NUL in a trailer', 'X: a\0b\r\n', 'field-value-control', 'nginx takes it'),
  inHead('NUL in a value', 'X: a\0b', 'field-value-control', 'neither takes it'),
  inHead('CR within a value', 'X: a\rb', 'line-bare-cr', 'curl takes it'),
  inHead('a control character in a name', 'X\x01: a', 'field-name-token', 'curl takes it'),
  {
    ...inHead('NUL in the reason', 'X: a', 'status-line', 'neither takes it'),
    answer: 'HTTP/1.1 200 O\0K\r\nContent-Length: 4\r\n\r\ngood',
    where: 'in line 1 of the head',
  },
  {
    ...inHead('VT before chunked', 'Transfer-Encoding:\x0bchunked', 'field-value-control', 'nginx takes it'),
    answer: `${HEAD.replace(' chunked', '\x0bchunked')}4\r\ngood\r\n0\r\n\r\n`,
  },
  // Both take these, but each has a second reading.
  inChunk('an open quote', '4;a="b\r\ngood\r\n0\r\n\r\n', 'chunk-extension', 'both take it'),
  inChunk('LF behind data that end with CR', '5\r\ngood\r\n0\r\n\r\n', 'chunk-end', 'both take it'),
  {
    ...inHead('VT behind the length', 'X: a', 'field-value-control', 'both take it'),
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 4\x0b\r\n\r\ngood',
  },
  inTrailer('white space before the first trailer', ' X: a\r\n', 'field-fold', 'both take it'),
  // Both take these against RFC 9112 §7.1 and §7.1.1.
  inChunk('a word behind a size', '4 bytes\r\ngood\r\n0\r\n\r\n', 'chunk-size', 'both take it'),
  inChunk('NUL within an extension', '4;a\0\r\ngood\r\n0\r\n\r\n', 'chunk-extension', 'both take it'),
]
