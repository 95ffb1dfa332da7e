import { randomBytes, randomUUID } from 'node:crypto'
import { ENV } from '@postern/protocol/environment'
import { CLOSE_GRACE_MS, LEASE_MS, REVOCATION_POLL_MS, TOKEN_RECHECK_MS } from '@postern/protocol/limits'
import { channelTicketSchema, newToken, tokenHash } from '@postern/protocol/ticket'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { BreakableLink } from '../support/breakable-link.ts'
import { tryOpening } from '../support/cut-short-agent.ts'
import type { HttpClient } from '../support/http-client.ts'
import { contentOf, fieldOf, statusOf } from '../support/http-message.ts'
import { type Script, ScriptedOrigin } from '../support/scripted-origin.ts'
import { type Ports, type System, startSystem } from '../support/start-system.ts'
import { ask, eventually, ticketRequest, visit } from '../support/visits.ts'

/** From the row in the table to the end of everything that was open. */
const PROMISE_MS = 5000
/** The task's times in the tests that measure it: whatever the machine does besides has the other half of what they take otherwise. */
const PROMISE_SCALE = 0.5

const HEADS: Record<string, string> = {
  '/length': 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n',
  '/chunked': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
  '/close': 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n',
  '/socket': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
}
/** An unmasked text frame of two bytes, which is also a chunk of sorts: "0x81 0x02 hi". */
const FRAME = '\x81\x02hi'

/** Answers /quick at once; everything else begins and goes on for as long as somebody is there. */
const endless: Script = async ({ connection, head, whole }) => {
  await whole()
  const path = head.startLine.split(' ')[1]!
  const begin = HEADS[path]
  if (begin === undefined) return connection.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nquick')
  const piece = { '/chunked': '2\r\nhi\r\n', '/socket': FRAME }[path] ?? 'hi'
  connection.write(begin + piece)
  const drip = setInterval(() => connection.write(piece), 20)
  await connection.over(Number.POSITIVE_INFINITY)
  clearInterval(drip)
}

function requestFor(path: string, host: string): string {
  const upgrade =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${path === '/socket' ? upgrade : ''}\r\n`
}

const quick = (system: System, host: string) => ask(system, requestFor('/quick', host))

/** Visitors in the middle of an answer of each kind. */
const openEach = (system: System, host: string): Promise<HttpClient[]> =>
  Promise.all(
    Object.keys(HEADS).map(async (path) => {
      const visitor = await visit(system)
      visitor.send(requestFor(path, host))
      await visitor.connection.saw('hi')
      return visitor
    }),
  )

/** Milliseconds since `began` until all of them were over; every one by a cut, or with something missing. */
async function allCut(visitors: readonly HttpClient[], began: number): Promise<number> {
  const endings = await Promise.all(visitors.map(({ connection }) => connection.over()))
  for (const [index, { connection }] of visitors.entries()) {
    const path = Object.keys(HEADS)[index]!
    // A FIN would make a response that ends with its connection look whole, and a WebSocket too. Of the others it shows what is missing.
    if (endings[index] !== 'cut') throw new Error(`${path} ended with a FIN`)
    if (connection.text.endsWith('\r\n0\r\n\r\n')) throw new Error(`${path} looks whole`)
  }
  return Math.max(...visitors.map(({ connection }) => connection.endedAt)) - began
}

const revocation = (what: 'user' | 'subdomain', key: string) => {
  const now = Date.now()
  return { what, key, notBefore: now, now, newId: randomUUID }
}

const rowsOf = async (system: System, name: string) =>
  (await system.stores.tunnels.list({ limit: 100 })).items.filter((row) => row.name === name)

describe.concurrent('a live tunnel', () => {
  let system: System
  let origin: ScriptedOrigin

  beforeAll(async () => {
    system = await startSystem({ env: { POSTERN_TIME_SCALE: String(PROMISE_SCALE) } })
    origin = await ScriptedOrigin.start(endless)
  })
  afterAll(async () => {
    await system?.stop()
    await origin?.stop()
  })

  const begin = (username: string, subdomain: string, token?: string) =>
    system.startAgent({
      ...{ username, subdomain, target: origin.port, env: { POSTERN_TIME_SCALE: '1' } },
      ...(token !== undefined && { token }),
    })

  test('has 5 s at most by the times of a task, with some left for the machine', ({ expect }) => {
    expect(REVOCATION_POLL_MS + CLOSE_GRACE_MS).toBeLessThan(PROMISE_MS)
  })

  test('of a revoked token is cut within 5 s with all that is open, visibly; its agent exits 3 and says why; others go on', async ({
    expect,
  }) => {
    const [tunnel, other] = await Promise.all([begin('ann', 'of-ann'), begin('bob', 'of-bob')])
    const [visitors, others] = await Promise.all([openEach(system, tunnel.host), openEach(system, other.host)])
    const hash = tokenHash(await system.token('ann'))

    const began = performance.now()
    expect(await system.stores.tokens.revoke({ tokenHash: hash, now: Date.now(), newId: randomUUID })).toBe(true)
    const cutMs = await allCut(visitors, began)
    const exit = await tunnel.process.exited
    const exitMs = performance.now() - began
    console.info(`revoked token: everything cut after ${cutMs.toFixed(0)} ms, agent gone after ${exitMs.toFixed(0)} ms`)
    expect(cutMs).toBeLessThan(PROMISE_MS)
    expect(exitMs).toBeLessThan(PROMISE_MS)
    expect(exit).toEqual({ code: 3, signal: null })
    expect(tunnel.process.stderr).toMatch(/revoked.*\(revoked\)/s)

    // The name is still its owner's.
    expect(fieldOf(await quick(system, tunnel.host), 'tunnel-error')).toBe('tunnel-offline')
    expect(await rowsOf(system, 'of-ann')).toEqual([])
    expect(others.map(({ connection }) => connection.ending)).toEqual(others.map(() => 'open'))
    expect((await quick(system, other.host)).body.toString()).toBe('quick')
    const log = system.dataPlane.stderr.split('\n').filter((line) => line.includes('"of-ann"'))
    expect(log.at(-1)).toMatch(/"fault":"revoked","detail":"Its token was revoked\.".*tunnel over/)
    for (const visitor of others) visitor.close()
  })

  test('that is disconnected is cut within 5 s; its agent is back by itself with the same name', async ({ expect }) => {
    const [tunnel, later] = await Promise.all([begin('cid', 'of-cid'), begin('cid', 'later')])
    const visitors = await openEach(system, tunnel.host)
    const [before] = await rowsOf(system, 'of-cid')
    const began = performance.now()
    await system.stores.revocations.add(revocation('subdomain', 'of-cid'))
    const cutMs = await allCut(visitors, began)
    console.info(`disconnected: everything cut after ${cutMs.toFixed(0)} ms`)
    expect(cutMs).toBeLessThan(PROMISE_MS)
    expect(await tunnel.process.complains(/back: (\S+)/)).toBe(tunnel.url)
    expect((await quick(system, tunnel.host)).body.toString()).toBe('quick')
    await eventually('the new channel is listed', async () => {
      const [after] = await rowsOf(system, 'of-cid')
      return after !== undefined && after.connId !== before!.connId
    })
    // Applied once more together with a later one, the row leaves the new channel alone.
    await system.stores.revocations.add(revocation('subdomain', 'later'))
    await later.process.complains(/back: /)
    expect((await quick(system, tunnel.host)).body.toString()).toBe('quick')
    expect(tunnel.process.stderr.match(/back: /g)).toHaveLength(1)
  })

  test('goes with every other one of its account, and with none of another’s; a ticket from before opens nothing afterwards', async ({
    expect,
  }) => {
    const second = await tokenOf('dan', Date.now() + 3_600_000)
    const tunnels = await Promise.all([
      begin('dan', 'dan-one'),
      begin('dan', 'dan-two', second),
      begin('eve', 'of-eve'),
    ])
    const [one, two, stranger] = tunnels
    const asked = ticketRequest(system.base, `Bearer ${second}`, { username: 'dan', subdomain: 'dan-late' })
    const answer = await ask(system, asked)
    expect(statusOf(answer)).toBe(200)
    const ticket = channelTicketSchema.parse(JSON.parse(contentOf(answer).toString()))

    const began = performance.now()
    await system.stores.users.update('dan', { disabled: true })
    await system.stores.revocations.add(revocation('user', 'dan'))
    for (const tunnel of [one, two]) expect(await tunnel!.process.exited).toEqual({ code: 3, signal: null })
    console.info(`revoked account: both agents gone after ${(performance.now() - began).toFixed(0)} ms`)
    expect(performance.now() - began).toBeLessThan(PROMISE_MS)
    expect(await tryOpening(ticket)).toBe('revoked')
    expect(await rowsOf(system, 'dan-late')).toEqual([])
    expect((await quick(system, stranger!.host)).body.toString()).toBe('quick')
  })

  test('has its use of a ticket in the audit, once', async ({ expect }) => {
    await begin('fay', 'of-fay')
    const day = new Date().toISOString().slice(0, 10)
    const entries = async () =>
      (await system.stores.audit.list(day, { limit: 100 })).items.filter(({ actor }) => actor === 'fay')
    await eventually('the audit has it', async () => (await entries()).length > 0)
    expect(await entries()).toMatchObject([{ action: 'useTicket', target: 'of-fay', ip: '127.0.0.1', result: 'done' }])
  })

  /** A further token of that user, who need not exist yet. */
  async function tokenOf(username: string, expiresAt: number): Promise<string> {
    await system.token(username)
    return madeToken(system, username, expiresAt)
  }
})

async function madeToken(system: System, username: string, expiresAt: number): Promise<string> {
  const token = newToken('user', randomBytes)
  system.canaries.add(`another token of ${username}`, token.reveal())
  await system.stores.tokens.create({
    tokenHash: tokenHash(token),
    tokenId: randomUUID(),
    username,
    scopes: new Set(['tunnel']),
    subdomains: new Set(['*']),
    createdAt: Date.now(),
    expiresAt,
    label: 'for a test',
  })
  return token.reveal()
}

describe('a task with shortened times', () => {
  /** Polls every 200 ms, a lease of 1.5 s. Agents keep their times: an opening on a busy machine takes what it takes. */
  const SCALE = 0.1
  const leaseMs = LEASE_MS * SCALE
  let system: System
  let origin: ScriptedOrigin
  let link: BreakableLink
  let ports: Ports

  beforeAll(async () => {
    system = await startSystem({ env: { POSTERN_TIME_SCALE: String(SCALE) } })
    origin = await ScriptedOrigin.start(endless)
    link = await BreakableLink.start(Number(new URL(system.tableEnv.AWS_ENDPOINT_URL_DYNAMODB!).port))
    ports = system.ports
  })
  afterAll(async () => {
    link?.mend()
    await system?.stop()
    await link?.stop()
    await origin?.stop()
  })

  const begin = (username: string, subdomain: string, token?: string) =>
    system.startAgent({
      ...{ username, subdomain, target: origin.port, env: { POSTERN_TIME_SCALE: '1' } },
      ...(token !== undefined && { token }),
    })
  const taskRows = () => system.stores.tasks.list()
  const taskId = async (): Promise<string> => JSON.parse(await system.dataPlane.firstLine()).task

  test('cuts a tunnel as its token expires; the agent hears so from the control plane and exits 3', async ({
    expect,
  }) => {
    await system.token('gil')
    const expiresAt = Date.now() + 5000
    const tunnel = await begin('gil', 'of-gil', await madeToken(system, 'gil', expiresAt))
    const visitors = await openEach(system, tunnel.host)
    await allCut(visitors, performance.now())
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt)
    // Not by the round that reads all tokens again.
    expect(Date.now() - expiresAt).toBeLessThan((TOKEN_RECHECK_MS * SCALE) / 3)
    expect(await tunnel.process.exited).toEqual({ code: 3, signal: null })
    expect(tunnel.process.stderr).toContain('token-expired')
  })

  test('that is down while a token is revoked: the agent that comes back is refused by the control plane and exits 3', async ({
    expect,
  }) => {
    const tunnel = await begin('hal', 'of-hal')
    system.dataPlane.kill('SIGKILL')
    await system.dataPlane.exited
    const hash = tokenHash(await system.token('hal'))
    await system.stores.tokens.revoke({ tokenHash: hash, now: Date.now(), newId: randomUUID })
    await system.startDataPlane(ports)
    expect(await tunnel.process.exited).toEqual({ code: 3, signal: null })
    expect(tunnel.process.stderr).toContain('token-revoked')
  })

  test('out of the table’s reach keeps its tunnels, says so once, and makes up for what was revoked meanwhile', async ({
    expect,
  }) => {
    await system.dataPlane.stop()
    await system.startDataPlane(ports, { AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${link.port}` })
    const [staying, going] = await Promise.all([begin('ida', 'of-ida'), begin('jim', 'of-jim')])
    const visitors = await openEach(system, staying.host)
    link.break()
    await system.dataPlane.complains(/revocations: nothing usable from the table/)
    await system.dataPlane.complains(/lease: nothing usable from the table/)
    await system.stores.revocations.add(revocation('user', 'jim'))
    const id = await taskId()
    await eventually('the lease is over', async () => {
      const row = (await taskRows()).find((task) => task.taskId === id)
      return row !== undefined && row.leaseUntil < Date.now()
    })
    for (const tunnel of [staying, going]) expect((await quick(system, tunnel.host)).body.toString()).toBe('quick')
    link.mend()
    expect(await going.process.exited).toEqual({ code: 3, signal: null })
    await system.dataPlane.complains(/lease: from the table again/)
    expect(visitors.map(({ connection }) => connection.ending)).toEqual(visitors.map(() => 'open'))
    expect((await quick(system, staying.host)).body.toString()).toBe('quick')
    expect(system.dataPlane.stderr.match(/revocations: nothing usable from the table/g)).toHaveLength(1)
    for (const visitor of visitors) visitor.close()
  })

  test('is in the list of tasks while it runs, its tunnels in the list of tunnels; both go when it stops', async ({
    expect,
  }) => {
    const id = await taskId()
    const tunnel = await begin('kay', 'of-kay')
    await eventually('the tunnel is listed', async () => (await rowsOf(system, 'of-kay')).length === 1)
    const row = (await taskRows()).find((task) => task.taskId === id)!
    expect(row).toMatchObject({ draining: false, addr: expect.stringMatching(/^127\.0\.0\.1:\d+$/), version: '0.1.0' })
    await eventually('its lease stands', async () =>
      (await taskRows()).some((task) => task.taskId === id && task.leaseUntil > Date.now()),
    )
    expect(await rowsOf(system, 'of-kay')).toMatchObject([{ username: 'kay', taskId: id, bootId: row.bootId, slot: 0 }])

    system.dataPlane.kill('SIGTERM')
    expect(await system.dataPlane.exited).toEqual({ code: 0, signal: null })
    expect(await rowsOf(system, 'of-kay')).toEqual([])
    expect((await taskRows()).some((task) => task.taskId === id)).toBe(false)
    await tunnel.process.stop()
    await system.startDataPlane(ports)
  })

  test('that is killed leaves a lease that ends; a process of the same id waits for that', async ({ expect }) => {
    await system.dataPlane.stop()
    await system.startDataPlane(ports, { [ENV.taskId]: 'one-of-a-kind' })
    await begin('lea', 'of-lea')
    await eventually('the tunnel is listed', async () => (await rowsOf(system, 'of-lea')).length === 1)
    system.dataPlane.kill('SIGKILL')
    await system.dataPlane.exited
    const left = (await taskRows()).find((task) => task.taskId === 'one-of-a-kind')!
    expect(left.leaseUntil).toBeLessThanOrEqual(Date.now() + leaseMs)
    expect(await rowsOf(system, 'of-lea')).toMatchObject([{ bootId: left.bootId }])

    await system.startDataPlane(ports, { [ENV.taskId]: 'one-of-a-kind' })
    expect(Date.now()).toBeGreaterThan(left.leaseUntil)
    const next = (await taskRows()).find((task) => task.taskId === 'one-of-a-kind')!
    expect(next.bootId).not.toBe(left.bootId)
    await eventually('its agent is back, and listed anew', async () => {
      const [row] = await rowsOf(system, 'of-lea')
      return row?.bootId === next.bootId
    })
  })

  test('whose id another process has serves nothing more and exits 2; one whose id is in use does not begin', async ({
    expect,
  }) => {
    const first = system.dataPlane
    const { bootId } = (await taskRows()).find((task) => task.taskId === 'one-of-a-kind')!
    await expect(system.startDataPlane(undefined, { [ENV.taskId]: 'one-of-a-kind' })).rejects.toThrow(
      /exit code 2.*Another process is the task one-of-a-kind/s,
    )

    first.kill('SIGSTOP')
    const second = await system.startDataPlane(undefined, { [ENV.taskId]: 'one-of-a-kind' })
    first.kill('SIGCONT')
    expect(await first.exited).toEqual({ code: 2, signal: null })
    expect(first.stderr).toContain('fenced')
    const row = (await taskRows()).find((task) => task.taskId === 'one-of-a-kind')!
    expect(row.bootId).not.toBe(bootId)
    expect(await second.stop()).toEqual({ code: 0, signal: null })
  })
})
