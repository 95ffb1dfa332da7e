/** Hosts below a tunnel's name: served where the deployment has a certificate for them, and otherwise answered with what is missing. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { contentOf, fieldOf, fieldsOf, statusOf } from '../support/http-message.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { ask } from '../support/visits.ts'

let system: System
let origin: ScriptedOrigin

beforeAll(async () => {
  system = await startSystem({ env: { POSTERN_NESTED_NAMES: 'covered' } })
  origin = await ScriptedOrigin.start()
  for (const subdomain of ['covered', 'other']) await system.startAgent({ subdomain, target: origin.port })
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
})

const get = (host: string): string =>
  `GET / HTTP/1.1\r\nHost: ${host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n`

test.each(['app.covered', 'App.Covered', 'covered'])('%s reaches the tunnel, with its own Host', async (name) => {
  origin.play(({ connection }) => connection.write('HTTP/1.1 204 No Content\r\n\r\n'))
  const host = `${name}.${system.base}`
  const answer = ask(system, get(host))
  const { head } = await origin.request()
  expect(fieldsOf(head, 'host')).toEqual([host])
  expect(fieldsOf(head, 'x-forwarded-host')).toEqual([host.toLowerCase()])
  expect(statusOf(await answer)).toBe(204)
})

test.each([
  ['app.other', 'a certificate for *.other.'],
  ['b.app.covered', 'one label below the name: *.covered.'],
  ['app.nobody', 'a certificate for *.nobody.'],
])('%s is answered with a page that says: %s', async (name, missing) => {
  const answer = await ask(system, get(`${name}.${system.base}`))
  expect([statusOf(answer), fieldOf(answer, 'tunnel-error')]).toEqual([404, 'nested-name'])
  const page = contentOf(answer).toString()
  expect(page).toContain(`${missing}${system.base}`)
  expect(page).toContain('POSTERN_NESTED_NAMES')
})

test.each(['app.www', 'app..covered', '-app.covered'])('%s is nobody’s', async (name) => {
  const answer = await ask(system, get(`${name}.${system.base}`))
  expect(['host-unknown', 'request-invalid']).toContain(fieldOf(answer, 'tunnel-error'))
})
