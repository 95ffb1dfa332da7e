import { randomBytes } from 'node:crypto'
import { getEventListeners, once } from 'node:events'
import net from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TunnelFault } from '../fault.ts'
import { ANSWER_LINE_BYTES, WORKER_ID_BYTES } from '../limits.ts'
import { WindowBudget } from '../mux/index.ts'
import { agentControlStream, Channel, IpNotAllowedFault, OpeningCeilings, openChannel } from './index.ts'
import { dial, OpeningRig, Relay, readAll, readSome, turn } from './testing/opening-rig.ts'

let rig: OpeningRig

beforeEach(async () => {
  rig = new OpeningRig()
  await rig.listen()
})

afterEach(() => rig.stop())

const withCode = (code: string) => expect.objectContaining({ name: 'TunnelFault', code })

describe('an opening', () => {
  test('gives both ends a secured socket, and the ticket is used', async () => {
    const ticket = rig.issue()
    const [server, agent] = await Promise.all([rig.accepted(), openChannel(await dial(rig.port), ticket)])
    expect(agent.taskId).toBe('task-1')
    expect(server).toMatchObject({ ticket, workerId: ticket.workerId, clientAddress: '127.0.0.1' })
    expect(rig.consumed).toEqual([ticket.workerId])
    expect(agent.socket.getProtocol()).toBe('TLSv1.3')
    expect(agent.socket.getEphemeralKeyInfo()).toMatchObject({ type: 'ECDH', name: 'X25519' })
    expect(['TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256']).toContain(agent.socket.getCipher().name)
    agent.socket.write('from the agent')
    server.socket.write('from the server')
    expect(await Promise.all([readSome(server.socket), readSome(agent.socket)])).toEqual([
      'from the agent',
      'from the server',
    ])
    agent.socket.destroy()
  })

  test('begins with the id, and with nothing before it', async () => {
    const ticket = rig.issue()
    const server = net.createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const connection = once(server, 'connection')
    const opening = openChannel(await dial((server.address() as net.AddressInfo).port), ticket).catch((error) => error)
    const [peer] = (await connection) as [net.Socket]
    const [first] = await once(peer, 'data')
    expect(String(first)).toBe(`${ticket.workerId}\n`)
    peer.destroy()
    server.close()
    expect(await opening).toEqual(withCode('channel-lost'))
  })

  test('says nothing in clear but the id and the answer line', async () => {
    const ticket = rig.issue()
    const relay = new Relay(rig.port)
    const port = await relay.listen()
    const [server, agent] = await Promise.all([rig.accepted(), openChannel(await dial(port), ticket)])
    agent.socket.write('GET /the-question HTTP/1.1')
    await readSome(server.socket)
    server.socket.write('HTTP/1.1 200 the-answer')
    await readSome(agent.socket)
    agent.socket.destroy()
    relay.stop()
    const id = `${ticket.workerId}\n`
    const answer = '{"ok":true,"taskId":"task-1"}\n'
    const [asked, answered] = [Buffer.concat(relay.toServer), Buffer.concat(relay.toAgent)]
    expect(asked.toString('latin1', 0, id.length)).toBe(id)
    expect(answered.toString('latin1', 0, answer.length)).toBe(answer)
    for (const sealed of [asked.subarray(id.length), answered.subarray(answer.length)]) {
      expect(sealed[0]).toBe(0x16) // RFC 8446 §5.1: a handshake record
      expect(sealed.length).toBeGreaterThan(100)
      for (const secret of ['the-question', 'the-answer', 'HTTP/1.1', ticket.encryptionKeyText])
        expect(sealed.includes(secret)).toBe(false)
      expect(sealed.includes(Buffer.from(ticket.encryptionKey))).toBe(false)
    }
  })

  test('is told to whoever watches for a certain task before the ticket is spent, and can be given up there', async () => {
    const ticket = rig.issue()
    const mine = new Error('that task again')
    const opening = openChannel(await dial(rig.port), ticket, {
      onAnswer(taskId) {
        expect(taskId).toBe('task-1')
        throw mine
      },
    })
    await expect(opening).rejects.toBe(mine)
    expect(await rig.refused()).toEqual(withCode('channel-lost'))
    expect(rig.tickets.has(ticket.workerId)).toBe(true)
  })

  test('can be aborted by the agent, which leaves the ticket usable', async () => {
    const ticket = rig.issue()
    rig.beforeFind = () => new Promise(() => {})
    const stop = new AbortController()
    const opening = openChannel(await dial(rig.port), ticket, { signal: stop.signal })
    stop.abort(new Error('not any more'))
    await expect(opening).rejects.toThrow('not any more')
    expect(await rig.refused()).toEqual(withCode('channel-lost'))
    expect(rig.tickets.has(ticket.workerId)).toBe(true)
  })
})

describe('the white list and the ticket', () => {
  const refusal = async (ticket: { workerId: string; encryptionKeyText: string }, from?: string) => {
    const opening = openChannel(await dial(rig.port, from), ticket).catch((error: unknown) => error)
    const [server, agent] = await Promise.all([rig.refused(), opening])
    expect(agent).toBeInstanceOf(TunnelFault)
    return { server: server.code, agent: agent as TunnelFault }
  }

  test('an unknown ticket, an expired one and a used one get one and the same answer', async () => {
    const used = rig.issue()
    const [opened] = await Promise.all([openChannel(await dial(rig.port), used), rig.accepted()])
    opened.socket.destroy()
    const answers = []
    for (const ticket of [used, rig.issue({ expiresAt: Date.now() - 1 }), { workerId: 'nobody-knows-this-one' }]) {
      const peer = await dial(rig.port)
      peer.write(`${ticket.workerId}\n`)
      answers.push(await readAll(peer))
      expect(await rig.refused()).toEqual(withCode('ticket-refused'))
    }
    expect(new Set(answers)).toEqual(new Set(['{"ok":false,"fault":"ticket-refused"}\n']))
  })

  test('a ticket used from another address is refused with the address that was seen, and stays usable', async () => {
    const ticket = rig.issue()
    const { agent, server } = await refusal(ticket, '127.0.0.2')
    expect(server).toBe('ip-not-allowed')
    expect(agent).toBeInstanceOf(IpNotAllowedFault)
    expect(agent).toMatchObject({ seenIp: '127.0.0.2', observation: 'observed 127.0.0.2' })
    const [opened] = await Promise.all([openChannel(await dial(rig.port), ticket), rig.accepted()])
    opened.socket.destroy()
  })

  test('a wrong key is key-mismatch at both ends and does not burn the ticket', async () => {
    const ticket = rig.issue()
    const { agent, server } = await refusal({ ...ticket, encryptionKeyText: randomBytes(32).toString('hex') })
    expect([agent.code, server]).toEqual(['key-mismatch', 'key-mismatch'])
    expect(rig.consumed).toEqual([])
    const [opened] = await Promise.all([openChannel(await dial(rig.port), ticket), rig.accepted()])
    opened.socket.destroy()
  })

  test('of fifty openings with one ticket exactly one wins', async () => {
    const ticket = rig.issue()
    const agents = await Promise.all(Array.from({ length: 50 }, () => dial(rig.port)))
    const openings = agents.map((socket) => openChannel(socket, ticket).catch((error: TunnelFault) => error))
    await Promise.all(openings)
    while (rig.consumed.length < 1) await turn()
    for (const socket of agents) socket.destroy()
    const outcomes = await Promise.all(agents.map(() => rig.outcome()))
    const winners = outcomes.filter((outcome) => 'accepted' in outcome)
    expect(winners).toHaveLength(1)
    for (const outcome of outcomes) if ('refused' in outcome) expect(outcome.refused.code).toBe('ticket-refused')
    expect(rig.consumed).toEqual([ticket.workerId])
  })

  test('whoever has the key but lost the race is told so on the control stream, and the channel ends in order', async () => {
    const ticket = rig.issue()
    rig.beforeConsume = async () => {
      rig.tickets.delete(ticket.workerId)
    }
    const { socket } = await openChannel(await dial(rig.port), ticket)
    const heard: unknown[] = []
    await new Promise<void>((resolve) => {
      const channel = new Channel({
        socket,
        side: 'agent',
        budget: new WindowBudget(0),
        now: () => performance.now(),
        peerStreams: 256,
        events: { closed: resolve, lost: (fault) => resolve(void heard.push(fault)) },
      })
      const control = agentControlStream({
        stream: channel.openControlStream(),
        now: () => performance.now(),
        message: (message) => heard.push(message),
        ended() {},
      })
      control.send({ type: 'hello', version: '0', instanceId: 'i', slot: 0, pool: false, rules: {} })
    })
    expect(heard).toEqual([{ type: 'refused', fault: 'ticket-refused' }])
    expect(await rig.refused()).toEqual(withCode('ticket-refused'))
  })

  test('a task that drains or is full says so, and the agent learns when to come back', async () => {
    rig.refusing = new TunnelFault('server-draining')
    expect((await refusal(rig.issue())).agent).toMatchObject({ code: 'server-draining' })
    rig.refusing = new TunnelFault('server-busy', undefined, { retryAfterMs: 1234 })
    expect((await refusal(rig.issue())).agent).toMatchObject({ code: 'server-busy', retryAfterMs: 1234 })
  })

  test('a table that cannot be read is server-busy, not a refused ticket', async () => {
    rig.beforeFind = () => Promise.reject(new TunnelFault('store-unavailable'))
    expect((await refusal(rig.issue())).agent).toMatchObject({ code: 'server-busy', retryable: true })
  })
})

describe('an opening that does not follow the protocol', () => {
  const cases: [string, string | Buffer][] = [
    ['an id of 65 bytes', `${'a'.repeat(WORKER_ID_BYTES + 1)}\n`],
    ['an id without end', 'a'.repeat(4096)],
    ['an empty id', '\n'],
    ['an id with a carriage return', 'abcdef\r\n'],
    ['an id that is not ASCII', Buffer.from([0x61, 0xff, 0x0a])],
    ['an HTTP request', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['something behind the id before the answer', 'abcdef\nmore'],
  ]
  for (const [title, bytes] of cases)
    test(`${title} is opening-malformed, and nothing is said about it`, async () => {
      const peer = await dial(rig.port)
      peer.on('error', () => {})
      peer.write(bytes)
      expect(await rig.refused()).toEqual(withCode('opening-malformed'))
      peer.destroy()
    })

  test('an id of 64 bytes is one', async () => {
    const ticket = rig.issue({ workerId: 'i'.repeat(WORKER_ID_BYTES) })
    const [opened] = await Promise.all([openChannel(await dial(rig.port), ticket), rig.accepted()])
    opened.socket.destroy()
  })

  test('an id that comes byte by byte is read as if it had come at once', async () => {
    const peer = await dial(rig.port)
    for (const byte of 'unknown-id\n') {
      peer.write(byte)
      await turn()
    }
    expect(await readAll(peer)).toContain('ticket-refused')
    await rig.refused()
  })

  const lines: [string, string][] = [
    ['no JSON', 'hello\n'],
    ['another fault than the four', '{"ok":false,"fault":"internal-error"}\n'],
    ['no task', '{"ok":true}\n'],
    ['an address refusal without address', '{"ok":false,"fault":"ip-not-allowed"}\n'],
    ['a line without end', 'x'.repeat(ANSWER_LINE_BYTES + 1)],
    ['something behind the answer', '{"ok":true,"taskId":"t"}\nmore'],
  ]
  for (const [title, line] of lines)
    test(`${title} for an answer is opening-malformed at the agent`, async () => {
      const server = net.createServer((socket) => {
        socket.on('error', () => {})
        socket.once('data', () => socket.write(line))
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const socket = await dial((server.address() as net.AddressInfo).port)
      await expect(openChannel(socket, rig.issue())).rejects.toEqual(withCode('opening-malformed'))
      expect(socket.destroyed).toBe(true)
      server.close()
    })

  test('a task that is stopped meanwhile sends the agent to another one', async () => {
    const stop = new AbortController()
    await rig.stop()
    rig = new OpeningRig({ signal: stop.signal })
    await rig.listen()
    const looking = new Promise<void>((resolve) => {
      rig.beforeFind = () => {
        resolve()
        return new Promise(() => {})
      }
    })
    const opening = openChannel(await dial(rig.port), rig.issue()).catch((error) => error)
    await looking
    stop.abort()
    expect(await rig.refused()).toEqual(withCode('server-draining'))
    expect(await opening).toEqual(withCode('server-draining'))
  })
})

test('a hundred openings that one signal may stop are no suspected leak, and leave no listener on it', async () => {
  const stop = new AbortController()
  await rig.stop()
  rig = new OpeningRig({ signal: stop.signal })
  await rig.listen()
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  const peers = await Promise.all(Array.from({ length: 100 }, () => dial(rig.port)))
  while (rig.connections < 100) await turn()
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(100)
  for (const peer of peers) peer.destroy()
  for (let i = 0; i < 100; i += 1) expect(await rig.refused()).toEqual(withCode('channel-lost'))
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0)
  process.off('warning', onWarning)
  expect(warnings).toEqual([])
})

describe('the ceilings of openings', () => {
  test('one address beyond its share is told server-busy, and the share is free again afterwards', async () => {
    await rig.stop()
    const ceilings = new OpeningCeilings({ perAddress: 3, perTask: 100 })
    rig = new OpeningRig({ ceilings })
    await rig.listen()
    const silent = await Promise.all([dial(rig.port), dial(rig.port), dial(rig.port)])
    while (ceilings.total < 3) await turn()
    await expect(openChannel(await dial(rig.port), rig.issue())).rejects.toEqual(withCode('server-busy'))
    const other = rig.issue({ allowedIps: new Set(['127.0.0.3']) })
    const elsewhere = await openChannel(await dial(rig.port, '127.0.0.3'), other)
    elsewhere.socket.destroy()
    for (const socket of silent) socket.destroy()
    for (let outcomes = 0; outcomes < 5; outcomes += 1) await rig.outcome()
    await turn()
    expect([ceilings.total, ceilings.addresses]).toEqual([0, 0])
  })

  test('a read of the table that outlives its socket still counts', async () => {
    await rig.stop()
    const ceilings = new OpeningCeilings()
    rig = new OpeningRig({ ceilings })
    await rig.listen()
    let answer = (): void => {}
    rig.beforeFind = () =>
      new Promise((resolve) => {
        answer = resolve
      })
    const peer = await dial(rig.port)
    peer.write('some-id\n')
    while (ceilings.total < 1) await turn()
    peer.resetAndDestroy()
    expect(await rig.refused()).toEqual(withCode('channel-lost'))
    expect(ceilings.total).toBe(1)
    answer()
    await turn()
    expect([ceilings.total, ceilings.addresses]).toEqual([0, 0])
  })
})
