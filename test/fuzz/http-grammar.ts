/** Makes HTTP/1.1 messages that are nearly right: each part is drawn from what is common and from what parsers disagree on. */

import type { SeededRandom } from '../support/seeded-random.ts'
import {
  BODY_ENDS,
  CODINGS,
  COLONS,
  CONNECTIONS,
  ENDS,
  HOSTS,
  LENGTHS,
  METHODS,
  NAMES,
  SIZES,
  STATUSES,
  TARGETS,
  TRAILERS,
  VALUES,
  VERSIONS,
} from './http-parts.ts'

/** A list whose first items are the harmless ones is drawn from its head most of the time. */
function mostly<Item>(random: SeededRandom, items: readonly Item[], harmless: number): Item {
  return random.once(20) ? random.pick(items) : items[random.below(harmless)]!
}

const line = (random: SeededRandom, name: string, value: string) =>
  `${name}${mostly(random, COLONS, 6)}${value}${mostly(random, ENDS, 12)}`

function framingFields(random: SeededRandom): string {
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

function otherFields(random: SeededRandom): string {
  let fields = ''
  for (let more = random.below(4); more > 0; more--) {
    switch (random.below(6)) {
      case 0:
        fields += line(random, 'Connection', random.pick(CONNECTIONS))
        break
      case 1:
        fields += line(random, 'Upgrade', random.pick(['websocket', 'h2c', 'TLS/1.0', 'a b', '']))
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

function chunkedBody(random: SeededRandom): string {
  let body = ''
  for (let more = random.below(3); more > 0; more--) {
    body += `${mostly(random, SIZES, 7)}${mostly(random, ENDS, 12)}abcde${mostly(random, BODY_ENDS, 6)}`
  }
  if (random.once(10)) return body
  return `${body}${mostly(random, ['0', '00', '0;a', '0 '], 2)}${mostly(random, ENDS, 12)}${mostly(random, TRAILERS, 6)}${mostly(random, ENDS, 12)}`
}

/** A body that often fits the framing fields, and sometimes does not. */
function body(random: SeededRandom, fields: string): string {
  if (random.once(12)) return random.pick(['abcde', '0\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n', ''])
  if (/chunked/i.test(fields)) return chunkedBody(random)
  const length = /content-length:[ \t]*(\d{1,2})\b/i.exec(fields)
  return length === null ? '' : 'x'.repeat(Number(length[1]))
}

function request(random: SeededRandom): string {
  const separator = () => (random.once(40) ? random.pick(['  ', '\t', '', ' \r']) : ' ')
  const start = `${mostly(random, METHODS, 6)}${separator()}${mostly(random, TARGETS, 3)}${separator()}${mostly(random, VERSIONS, 7)}${mostly(random, ENDS, 12)}`
  const host = random.once(20) ? '' : line(random, random.once(10) ? 'host' : 'Host', mostly(random, HOSTS, 3))
  const framing = framingFields(random)
  const fields = random.once(2) ? host + otherFields(random) + framing : otherFields(random) + framing + host
  const before = random.once(40) ? random.pick(['\r\n', '\n', '\r\n\r\n', ' ', '\0', '\u00ef\u00bb\u00bf']) : ''
  return `${before}${start}${fields}${random.once(30) ? host : ''}${mostly(random, ENDS, 12)}${body(random, framing)}`
}

/** One to three requests in a row, as latin1 text. */
export function requests(random: SeededRandom): string {
  let text = ''
  for (let more = random.once(3) ? 1 + random.below(3) : 1; more > 0; more--) text += request(random)
  return text
}

function response(random: SeededRandom, status: string): string {
  const start = `${mostly(random, VERSIONS, 7)}${random.once(40) ? random.pick(['  ', '\t', '']) : ' '}${status}${mostly(random, ENDS, 12)}`
  const framing = framingFields(random)
  const fields = random.once(2) ? otherFields(random) + framing : framing + otherFields(random)
  return `${start}${fields}${mostly(random, ENDS, 12)}${body(random, framing)}`
}

/** Perhaps an interim response, then one, as latin1 text. */
export function responses(random: SeededRandom): string {
  let text = ''
  while (random.once(8))
    text += `HTTP/1.1 ${random.pick(['100 Continue', '103 Early Hints', '102 Processing'])}\r\n${otherFields(random)}\r\n`
  return text + response(random, mostly(random, STATUSES, 7))
}
