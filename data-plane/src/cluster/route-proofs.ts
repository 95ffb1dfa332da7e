/** Which rows of the routes are believed: those whose holder was granted the name by the control plane, whoever wrote the row. */
import type { KeyObject } from 'node:crypto'
import { GRANT_KEYS_AGAIN_MS, GRANT_KEYS_FRESH_MS, GRANT_LIFE_MS } from '@postern/protocol/limits'
import type { GrantKeyStore, GrantKeys, OnlineRoute, Route } from '@postern/protocol/store'
import { isProven, proofFacts, readPublishedKeys } from '@postern/protocol/ticket'
import type { Revocable } from './revocation-list.ts'

export interface RouteProofsDeps {
  readonly keys: Pick<GrantKeyStore, 'read'>
  isRevoked(ticket: Revocable): boolean
  /** A row that is passed over. */
  refused(row: OnlineRoute, why: Refusal): void
  /** Milliseconds since 1970. */
  clock(): number
  /** Monotonic milliseconds. */
  now(): number
}

export type Refusal = 'no proof' | 'unknown key' | 'expired' | 'revoked' | 'not the owner' | 'not proven'

interface Published {
  readonly keys: ReadonlyMap<string, KeyObject>
  readonly unprovenUntil: number
}

/** A control plane of an older version has published no key, and no row can have a proof. */
const NONE: Published = { keys: new Map(), unprovenUntil: Number.POSITIVE_INFINITY }

export class RouteProofs {
  readonly #deps: RouteProofsDeps
  #published: Published | undefined
  #readAt = Number.NEGATIVE_INFINITY
  #reading: Promise<Published> | undefined

  constructor(deps: RouteProofsDeps) {
    this.#deps = deps
  }

  /**
   * The rows of one name that are believed. Off-line rows lead nowhere and need no proof.
   * @param before rows of the name that were believed: the signatures of one that has not changed are not verified again
   * @param owner the id of the name's reservation
   * @throws TunnelFault `store-unavailable`
   */
  async believed(rows: readonly Route[], before: readonly Route[], owner: string): Promise<readonly Route[]> {
    if (rows.every((row) => row.routeState === 'offline')) return rows
    const published = await this.#publishedFor(rows)
    return rows.filter((row) => {
      if (row.routeState === 'offline') return true
      const why = this.#refusal(row, published, before, owner)
      if (why !== undefined) this.#deps.refused(row, why)
      return why === undefined
    })
  }

  #refusal(
    row: OnlineRoute,
    { keys, unprovenUntil }: Published,
    before: readonly Route[],
    owner: string,
  ): Refusal | undefined {
    const { clock, isRevoked } = this.#deps
    if (row.proof === undefined) return clock() < unprovenUntil ? undefined : 'no proof'
    const facts = proofFacts(row.proof)
    if (facts === undefined) return 'not proven'
    const key = keys.get(facts.keyId)
    if (key === undefined) return 'unknown key'
    if (clock() >= facts.issuedAt + GRANT_LIFE_MS) return 'expired'
    if (row.reservationId !== owner) return 'not the owner'
    const { name: subdomain, username, tokenHash } = row
    if (isRevoked({ subdomain, username, tokenHash, issuedAt: facts.issuedAt })) return 'revoked'
    const isKnown = before.some((known) => isSameClaim(known, row))
    return isKnown || isProven(row.proof, row, key) ? undefined : 'not proven'
  }

  /** Without the table's answer the keys stay as they were read. */
  async #publishedFor(rows: readonly Route[]): Promise<Published> {
    const known = this.#published
    if (known === undefined) return this.#read()
    const age = this.#deps.now() - this.#readAt
    const isMissing = age >= GRANT_KEYS_AGAIN_MS && rows.some((row) => isUnknown(row, known))
    if (age < GRANT_KEYS_FRESH_MS && !isMissing) return known
    return this.#read().catch(() => known)
  }

  #read(): Promise<Published> {
    this.#reading ??= this.#deps.keys
      .read()
      .then((read) => {
        this.#published = read === undefined ? NONE : publishedOf(read)
        this.#readAt = this.#deps.now()
        return this.#published
      })
      .finally(() => {
        this.#reading = undefined
      })
    return this.#reading
  }
}

const publishedOf = ({ keys, unprovenUntil }: GrantKeys): Published => ({
  keys: readPublishedKeys(keys),
  unprovenUntil,
})

function isUnknown(row: Route, { keys }: Published): boolean {
  if (row.routeState === 'offline' || row.proof === undefined) return false
  const facts = proofFacts(row.proof)
  return facts !== undefined && !keys.has(facts.keyId)
}

/** Whether all that the signatures of `row` are about stands in `known` too. */
const isSameClaim = (known: Route, row: OnlineRoute): boolean =>
  known.routeState === 'online' &&
  known.proof === row.proof &&
  known.name === row.name &&
  known.username === row.username &&
  known.reservationId === row.reservationId &&
  known.tokenHash === row.tokenHash &&
  known.taskId === row.taskId &&
  known.bootId === row.bootId
