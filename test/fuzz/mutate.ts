/** Damages a message in the ways that parsers are known to disagree on. Knows nothing of HTTP's grammar. */
import type { SeededRandom } from '../support/seeded-random.ts'

const FRAGMENTS = [
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  ' ',
  '\t',
  '\0',
  '\x0b',
  '\x7f',
  '\u0080',
  '\u00ff',
  ':',
  ',',
  ';',
  '0',
  '\r\n ',
  '\r\n0\r\n\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Content-Length: 5\r\n',
  'Host: b.example\r\n',
  'HTTP/1.1',
  '#',
  '@',
  '"',
]

/** The message with up to four pieces of damage; mostly none, so that what is right is tried too. */
export function mutate(random: SeededRandom, message: string): string {
  let text = message
  for (let more = random.once(3) ? 1 + random.below(4) : 0; more > 0 && text !== ''; more--) {
    const at = random.below(text.length)
    const to = Math.min(text.length, at + 1 + random.below(random.once(4) ? 20 : 2))
    switch (random.below(6)) {
      case 0:
        text = text.slice(0, at) + random.pick(FRAGMENTS) + text.slice(at)
        break
      case 1:
        text = text.slice(0, at) + text.slice(to)
        break
      case 2:
        text = text.slice(0, to) + text.slice(at)
        break
      case 3:
        text =
          text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << random.below(8))) + text.slice(at + 1)
        break
      case 4:
        text = text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1)
        break
      default:
        text = random.once(4) ? text.slice(0, at) : text.slice(0, at) + random.pick(FRAGMENTS) + text.slice(to)
    }
  }
  return text
}
