import { randomBytes } from 'node:crypto'
import { GRANT_KEYS_AGAIN_MS, GRANT_LIFE_MS } from '@postern/protocol/limits'
import type { GrantKeys, OnlineRoute } from '@postern/protocol/store'
import {
  NodeKey,
  newDeploymentSecret,
  parseDeploymentKeys,
  proveClaim,
  publishedKeys,
  signGrant,
} from '@postern/protocol/ticket'
import { expect, test } from 'vitest'
import { RouteProofs } from './route-proofs.ts'

const keysOf = () => parseDeploymentKeys(newDeploymentSecret(randomBytes))
const controlPlane = keysOf()
const ISSUED = 1_800_000_000_000
const honest = { taskId: 'honest', bootId: new NodeKey().bootId }
const takenOver = { taskId: 'taken-over', bootId: new NodeKey().bootId }
const granted = { name: 'demo', username: 'ann', reservationId: 'r', tokenHash: 't' }

const row = (changes: Partial<OnlineRoute> = {}): OnlineRoute => ({
  ...{ ...granted, ...honest, slot: 0, epoch: 7, routeState: 'online', claimedAt: ISSUED },
  ...{ connId: 'c', instanceId: 'i', pool: false },
  ...changes,
})

/** The proof of `holder` by a ticket that grants the name. */
function proofOf(holder: typeof honest, { name = 'demo', keys = controlPlane } = {}): string {
  const encryptionKey = randomBytes(32)
  const grant = signGrant({ ...granted, name }, { encryptionKey, issuedAt: ISSUED }, keys)
  return proveClaim(grant, encryptionKey, holder)
}

function setup(published: GrantKeys | undefined = { keys: publishedKeys(controlPlane), unprovenUntil: 0 }) {
  const state = { published: published as GrantKeys | undefined, ms: ISSUED, reads: 0, isRevoked: false }
  const refusals: string[] = []
  const proofs = new RouteProofs({
    keys: {
      read: async () => {
        state.reads += 1
        return state.published
      },
    },
    isRevoked: () => state.isRevoked,
    refused: (_, why) => void refusals.push(why),
    clock: () => state.ms,
    now: () => state.ms,
  })
  const believes = async (of: OnlineRoute, owner = 'r', before: OnlineRoute[] = []) =>
    (await proofs.believed([of], before, owner)).length === 1
  return { state, refusals, believes }
}

test('a row is believed whose holder was granted the name', async () => {
  const { believes, refusals } = setup()
  expect(await believes(row({ proof: proofOf(honest) }))).toBe(true)
  expect(refusals).toEqual([])
})

test.each<[string, OnlineRoute, string]>([
  ['no proof', row(takenOver), 'no proof'],
  ['the proof of another node, copied', row({ ...takenOver, proof: proofOf(honest) }), 'not proven'],
  ['the grant of another name', row({ ...takenOver, proof: proofOf(takenOver, { name: 'own' }) }), 'not proven'],
  [
    'a grant under a key of its own',
    row({ ...takenOver, proof: proofOf(takenOver, { keys: keysOf() }) }),
    'unknown key',
  ],
  [
    'the task id of another node',
    row({ taskId: 'honest', bootId: takenOver.bootId, proof: proofOf(honest) }),
    'not proven',
  ],
  ['another account', row({ username: 'bob', proof: proofOf(honest) }), 'not proven'],
  ['anything else', row({ ...takenOver, proof: 'x' }), 'not proven'],
])('a row that a taken-over node writes with %s is not believed', async (_, forged, why) => {
  const { believes, refusals } = setup()
  expect(await believes(forged)).toBe(false)
  expect(refusals).toEqual([why])
})

test('an older grant ends with its time, with a revocation, and when the name has another owner', async () => {
  const { believes, state, refusals } = setup()
  const once = row({ proof: proofOf(takenOver), ...takenOver })
  expect(await believes(once)).toBe(true)
  expect(await believes(once, 'a later reservation')).toBe(false)
  state.isRevoked = true
  expect(await believes(once, 'r', [once])).toBe(false)
  state.ms += GRANT_LIFE_MS
  expect(await believes(once, 'r', [once])).toBe(false)
  expect(refusals).toEqual(['not the owner', 'revoked', 'expired'])
})

test('a row that has not changed is not verified again, a changed one is', async () => {
  const { believes } = setup()
  const known = row({ proof: `${proofOf(honest).slice(0, -86)}${'A'.repeat(86)}` })
  expect(await believes(known)).toBe(false)
  // Its signature is wrong, so that it passes only unverified.
  expect(await believes(known, 'r', [known])).toBe(true)
  expect(await believes({ ...known, bootId: takenOver.bootId }, 'r', [known])).toBe(false)
})

test('a row without a proof is believed until the time that the control plane has set, and where it has published no key', async () => {
  const later = setup({ keys: publishedKeys(controlPlane), unprovenUntil: ISSUED + 1 })
  expect(await later.believes(row())).toBe(true)
  later.state.ms += 1
  expect(await later.believes(row())).toBe(false)
  const older = setup()
  older.state.published = undefined
  expect(await older.believes(row())).toBe(true)
})

test('a key that was added is read for the first row that names it', async () => {
  const { believes, state } = setup()
  const next = keysOf()
  const moved = row({ proof: proofOf(honest, { keys: next }) })
  expect(await believes(moved)).toBe(false)
  state.published = { keys: publishedKeys(next), unprovenUntil: 0 }
  state.ms += GRANT_KEYS_AGAIN_MS
  expect([await believes(moved), state.reads]).toEqual([true, 2])
})
