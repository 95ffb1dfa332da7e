/** A team's tunnel from the first administrator to its end, by the API alone, and what the audit has to say of it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bootstrap, byCommand, byHttp, HAS_CURL } from '../support/administrator.ts'
import { statusOf } from '../support/http-message.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { ask, eventually, visit } from '../support/visits.ts'

/** From the administrator's call to the end of all that was open. The task's own part of it is halved, the rest is the machine's. */
const CUT_WITHIN_MS = 5000

let system: System
let origin: ScriptedOrigin

beforeEach(async () => {
  system = await startSystem({ env: { POSTERN_TIME_SCALE: '0.5' } })
  origin = await ScriptedOrigin.start()
  origin.play(async ({ connection, head, whole }) => {
    await whole()
    const isHeld = head.startLine.includes('/held')
    connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${isHeld ? 1000 : 2}\r\n\r\nok`)
  })
})

afterEach(async () => {
  await system?.stop()
  await origin?.stop()
})

describe('bootstrap, user, token, name, agent, visitor, list, revoke, audit', () => {
  test.each([
    ['tunnel-admin', byCommand],
    [HAS_CURL ? 'curl' : 'plain HTTP', byHttp],
  ])('walked by %s: the revoked tunnel is cut within 5 s, and the audit has each step once', async (by, administer) => {
    const firstDay = today()
    const administrator = administer(system, await bootstrap(system))
    expect(await administrator.createUser('walker')).toMatchObject({ username: 'walker', disabled: false })
    const { id, token, ...made } = await administrator.createToken('walker')
    expect(made).toMatchObject({ username: 'walker', scopes: ['tunnel'], status: 'active' })
    expect(await administrator.reserve('walked', 'walker')).toMatchObject({ name: 'walked', ephemeral: false })

    const agent = await system.startAgent({ target: origin.port, subdomain: 'walked', token })
    expect(agent.url).toBe('http://walked.localhost')
    const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: ${agent.host}\r\n\r\n`
    expect(statusOf(await ask(system, get('/')))).toBe(200)
    await eventually('the tunnel is listed', async () => (await administrator.tunnels()).length > 0)
    expect(await administrator.tunnels()).toEqual([
      expect.objectContaining({ subdomain: 'walked', username: 'walker', url: agent.url }),
    ])

    const visitor = await visit(system)
    visitor.send(get('/held'))
    await visitor.connection.saw('ok')
    const began = performance.now()
    await administrator.revoke(id)
    const ending = await visitor.connection.over()
    const cutMs = Math.round(performance.now() - began)
    expect(await agent.process.exited).toEqual({ code: 3, signal: null })
    const exitMs = Math.round(performance.now() - began)
    process.stdout.write(
      `revoked by ${by}: the live tunnel was cut after ${cutMs} ms, its agent gone after ${exitMs} ms\n`,
    )
    expect(ending).toBe('cut')
    expect(Math.max(cutMs, exitMs)).toBeLessThanOrEqual(CUT_WITHIN_MS)
    expect(agent.process.stderr).toContain('(revoked)')
    expect(await administrator.tunnels()).toEqual([])
    expect(statusOf(await ask(system, get('/')))).toBe(503)

    const days = [...new Set([firstDay, today()])]
    const rows = (await Promise.all(days.map((day) => administrator.audit(day)))).flat()
    const root = rows.at(-1)?.tokenId
    expect(root).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/)
    expect(rows.map(({ actor, action, target, result, tokenId }) => [actor, action, target, result, tokenId])).toEqual([
      ['deployer', 'bootstrap', 'admin', 'done', undefined],
      ['admin', 'createUser', 'walker', 'done', root],
      ['admin', 'createToken', id, 'done', root],
      ['admin', 'reserveSubdomain', 'walked', 'done', root],
      ['walker', 'useTicket', 'walked', 'done', undefined],
      ['admin', 'revokeToken', id, 'done', root],
    ])
  })
})

const today = (): string => new Date().toISOString().slice(0, 10)
