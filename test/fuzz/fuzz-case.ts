/**
 * One case of the fuzz: bytes, and for a response the request that it answers; or visits, which are drawn as they go. Made from a seed, or read from
 * the corpus.
 */

import { SeededRandom } from '../support/seeded-random.ts'
import { requests, responses } from './http-grammar.ts'
import { mutate } from './mutate.ts'

/** Messages are latin1 text: one character for each byte. */
export type FuzzCase =
  | { readonly kind: 'requests'; readonly message: string }
  | { readonly kind: 'responses'; readonly message: string; readonly method: string; readonly upgrade: boolean }

export type HttpKind = FuzzCase['kind']

/** `visits` go through the whole request path of a node; the others through the readers of HTTP/1.1 alone. */
export type FuzzKind = HttpKind | 'visits'

export const FUZZ_KINDS: readonly FuzzKind[] = ['requests', 'responses', 'visits']

export function makeCase(kind: HttpKind, seed: number): FuzzCase {
  const random = new SeededRandom(seed)
  if (kind === 'requests') return { kind, message: mutate(random, requests(random)) }
  const message = mutate(random, responses(random))
  return { kind, message, method: random.pick(['GET', 'GET', 'GET', 'POST', 'HEAD']), upgrade: random.once(4) }
}
