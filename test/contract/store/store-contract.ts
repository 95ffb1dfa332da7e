/** The whole contract of the store, for one place. Knows nothing of which places there are. */
import { afterAll, beforeAll, describe } from 'vitest'
import { nameContract } from './name-contract.ts'
import { nameListContract } from './name-list-contract.ts'
import type { OpenPlace, Place } from './place.ts'
import { recordContract } from './record-contract.ts'
import { routeContract } from './route-contract.ts'
import { taskContract } from './task-contract.ts'
import { ticketContract } from './ticket-contract.ts'
import { tokenContract } from './token-contract.ts'
import { userContract } from './user-contract.ts'

export function storeContract(place: Place): void {
  const title = place.skipped
    ? `the store on ${place.title} (skipped: ${place.skipped})`
    : `the store on ${place.title}`
  describe.skipIf(place.skipped)(title, () => {
    let opened: OpenPlace
    beforeAll(async () => {
      opened = await place.open()
    })
    afterAll(() => opened.close())
    const get = () => opened

    describe('tickets', () => ticketContract(get))
    describe('names', () => nameContract(get))
    describe('routes', () => routeContract(get))
    describe('tokens', () => tokenContract(get))
    describe('users', () => userContract(get))
    describe('lists of names', () => nameListContract(get))
    describe('tasks and revocations', () => taskContract(get))
    describe('tunnels, audit, failures', () => recordContract(get))
  })
}
