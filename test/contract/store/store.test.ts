import { afterAll, beforeAll, describe } from 'vitest'
import { accountContract } from './account-contract.ts'
import { nameContract } from './name-contract.ts'
import { type OpenPlace, PLACES } from './place.ts'
import { routeContract } from './route-contract.ts'
import { ticketContract } from './ticket-contract.ts'

for (const place of PLACES) {
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
    describe('accounts and tasks', () => accountContract(get))
  })
}
