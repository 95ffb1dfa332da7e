/** What can be said to a channel port before any key is proven. Knows nothing of what becomes of it. */

import type { SeededRandom } from '../support/seeded-random.ts'
import type { Overheard } from './overheard-opening.ts'

const PROXY_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

type Opening = (chance: SeededRandom, overheard: Overheard) => Buffer[]

/** Each piece is a write of its own. `overheard` is the opening of a ticket that is still good. */
const OPENINGS: readonly Opening[] = [
  (chance) => [chance.bytes(chance.integer(1, 500))],
  () => [],
  // An id too long, of bytes that no id has, unknown, and one that never ends.
  (chance) => [Buffer.from(`${'a'.repeat(chance.integer(65, 4000))}\n`)],
  (chance) => [Buffer.concat([chance.bytes(chance.integer(0, 64)), Buffer.from('\n')])],
  (chance) => [Buffer.from(`${chance.bytes(18).toString('base64url')}\n`), chance.bytes(300)],
  (chance) => [...Buffer.from('a'.repeat(chance.integer(1, 66)))].map((byte) => Buffer.of(byte)),
  () => [Buffer.from('GET / HTTP/1.1\r\nHost: test.localhost\r\n\r\n')],
  // A PROXY header that is none, and one in front of nothing.
  (chance) => [PROXY_SIGNATURE, chance.bytes(chance.integer(0, 100))],
  (chance) => [PROXY_SIGNATURE, Buffer.from([0x21, 0x11, 0, chance.integer(0, 256)]), chance.bytes(300)],
  (chance) => [Buffer.concat([PROXY_SIGNATURE, Buffer.from([0x21, 0x11, 0xff, 0xff])]), chance.bytes(100)],
  (chance, [id]) => [Buffer.concat([PROXY_SIGNATURE, Buffer.from([0x20, 0, 0, 0])]), id!, chance.bytes(50)],
  // The handshake in place of the id.
  (_, [, clientHello]) => [clientHello!],
  // The id of a good ticket, and behind it anything but an honest handshake.
  (chance, [id]) => [id!, chance.bytes(chance.integer(1, 800))],
  (_, [id, clientHello]) => [Buffer.concat([id!, clientHello!])],
  (chance, [id, clientHello]) => [id!, damaged(clientHello!, chance)],
  (chance, [id, clientHello]) => [id!, clientHello!, chance.bytes(chance.integer(1, 200))],
  (chance, [id, clientHello, ...rest]) => [id!, clientHello!, damaged(Buffer.concat(rest), chance)],
  (chance, [id, clientHello]) => [id!, clientHello!.subarray(0, chance.integer(1, clientHello!.length))],
]

export const hostileOpening = (chance: SeededRandom, overheard: Overheard): Buffer[] =>
  chance.pick(OPENINGS)(chance, overheard)

function damaged(bytes: Buffer, chance: SeededRandom): Buffer {
  const copy = Buffer.from(bytes)
  for (let times = chance.integer(1, 4); times > 0; times -= 1)
    copy[chance.integer(0, copy.length)]! ^= chance.integer(1, 256)
  return copy
}
