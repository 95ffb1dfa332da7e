import { randomBytes } from 'node:crypto'
import { openChannel } from '@postern/protocol/channel'
import { newToken } from '@postern/protocol/ticket'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dial, tryOpening } from '../support/cut-short-agent.ts'
import { contentOf, fieldOf, statusOf } from '../support/http-message.ts'
import { type RecordingRelay, startRecordingRelay } from '../support/recording-relay.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { startTicketRewriter, type TicketRewriter } from '../support/ticket-rewriter.ts'
import { ask, newTicket, ticketRequest } from '../support/visits.ts'

let system: System

beforeAll(async () => {
  system = await startSystem({ ipPolicy: 'strict' })
})

afterAll(() => system?.stop())

const USERNAME = 'tester'

/** Step 1, by a user that is known. */
async function post(body: { username: string; subdomain: string }, authorization?: string): Promise<string> {
  const token = (await system.token(USERNAME)).reveal()
  return ticketRequest(system.base, authorization ?? `Bearer ${token}`, body)
}

describe('step 1: the local server sends a POST request with host set to the base domain', () => {
  test('without a token, with a mistyped one and with an unknown one it is refused, each with its code', async () => {
    const body = { username: USERNAME, subdomain: 'step-one' }
    const token = (await system.token(USERNAME)).reveal()
    const mistyped = token.slice(0, -1) + (token.endsWith('0') ? '1' : '0')
    const unknown = newToken('user', randomBytes).reveal()
    for (const [authorization, code] of [
      ['', 'token-missing'],
      ['Bearer nonsense', 'token-malformed'],
      [`Bearer ${mistyped}`, 'token-malformed'],
      [`Bearer ${unknown}`, 'token-unknown'],
    ] as const) {
      const answer = await ask(system, await post(body, authorization))
      expect(statusOf(answer), authorization).toBe(401)
      expect(fieldOf(answer, 'content-type')).toContain('application/problem+json')
      expect(JSON.parse(contentOf(answer).toString()).code).toBe(code)
      expect(answer.body.toString()).not.toContain('encryptionKeyText')
    }
  })

  test('somebody else’s username is refused, even with a good token', async () => {
    const answer = await ask(system, await post({ username: 'somebody-else', subdomain: 'step-one' }))
    expect(statusOf(answer)).toBe(403)
    expect(JSON.parse(contentOf(answer).toString()).code).toBe('username-mismatch')
  })

  test('the same request to a tunnel’s name is no business of the control plane', async () => {
    const request = await post({ username: USERNAME, subdomain: 'step-one' })
    const answer = await ask(system, request.replace(`Host: ${system.base}`, `Host: no-tunnel.${system.base}`))
    expect(statusOf(answer)).toBe(404)
    expect(fieldOf(answer, 'tunnel-error')).toBe('tunnel-not-found')
  })
})

describe('step 2: the reply is a ticket of the channel server', () => {
  test('with port, workerId and encryptionKeyText, the key being 32 bytes in hex', async () => {
    const ticket = await newTicket(system, 'step-two')
    expect(ticket.port).toBe(system.ports.channel)
    expect(ticket.workerId).toMatch(/^[\x21-\x7e]{16,64}$/)
    expect(ticket.encryptionKeyText).toMatch(/^[0-9a-f]{64}$/)
  })

  test('ids and keys are never the same twice', async () => {
    const tickets = await Promise.all(Array.from({ length: 5 }, () => newTicket(system, 'step-two')))
    expect(new Set(tickets.map(({ workerId }) => workerId)).size).toBe(5)
    expect(new Set(tickets.map(({ encryptionKeyText }) => encryptionKeyText)).size).toBe(5)
  })

  test('names the address that was put on the white list, the caller’s', async () => {
    expect((await newTicket(system, 'step-two')).seenIp).toBe('127.0.0.1')
    const elsewhere = await ask(system, await post({ username: USERNAME, subdomain: 'step-two' }), '127.0.0.3')
    expect(JSON.parse(contentOf(elsewhere).toString()).seenIp).toBe('127.0.0.3')
  })

  test('an address that the caller makes up is not believed', async () => {
    const request = await post({ username: USERNAME, subdomain: 'step-two' })
    const answer = await ask(
      system,
      request.replace('\r\n', '\r\nX-Forwarded-For: 127.0.0.9\r\nForwarded: for=127.0.0.9\r\n'),
    )
    expect(JSON.parse(contentOf(answer).toString()).seenIp).toBe('127.0.0.1')
  })
})

describe('step 3: the first data sent is the id', () => {
  let origin: ScriptedOrigin
  let relay: RecordingRelay
  let rewriter: TicketRewriter

  beforeAll(async () => {
    origin = await ScriptedOrigin.start()
    relay = await startRecordingRelay(() => ({ host: '127.0.0.1', port: system.ports.channel }))
    rewriter = await startTicketRewriter(system, { port: relay.port })
  })

  afterAll(async () => {
    await rewriter?.stop()
    await relay?.stop()
    await origin?.stop()
  })

  test('and nothing that is proxied afterwards can be read on the wire (step 5)', async () => {
    const secrets = {
      request: 'canary-of-the-request-5cbf31e07a9d48',
      path: '/canary-of-the-target-91d2c6f3b7',
      answer: 'canary-of-the-response-e4a80d5f61c2',
      field: 'canary-of-a-response-field-77b0c9',
    }
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.write(
        `HTTP/1.1 200 OK\r\nX-Canary: ${secrets.field}\r\nContent-Length: ${secrets.answer.length * 100}\r\n\r\n${secrets.answer.repeat(100)}`,
      )
    })
    const tunnel = await system.startAgent({
      subdomain: 'step-three',
      target: origin.port,
      server: `http://127.0.0.1:${rewriter.port}`,
    })
    const answer = await ask(
      system,
      `POST ${secrets.path} HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: ${secrets.request.length}\r\n\r\n${secrets.request}`,
    )
    expect(contentOf(answer).toString()).toBe(secrets.answer.repeat(100))

    const [ticket] = rewriter.tickets
    const [recording] = relay.recordings
    const sent = Buffer.concat(recording!.fromClient)
    const received = Buffer.concat(recording!.fromServer)
    expect(sent.toString('latin1', 0, ticket!.workerId.length + 1)).toBe(`${ticket!.workerId}\n`)
    expect(recording!.fromClient[0]!.toString('latin1')).toBe(`${ticket!.workerId}\n`)

    const answerLine = received.toString('latin1', 0, received.indexOf('\n'))
    expect(JSON.parse(answerLine)).toMatchObject({ ok: true })
    const wire = {
      agent: sent.subarray(ticket!.workerId.length + 1),
      server: received.subarray(answerLine.length + 1),
    }
    // The recording is of this very exchange: it is long enough to hold it.
    expect(wire.agent.length).toBeGreaterThan(secrets.answer.length * 100)
    expect(wire.server.length).toBeGreaterThan(secrets.request.length + secrets.path.length)
    for (const [name, secret] of Object.entries({ ...secrets, key: ticket!.encryptionKeyText, name: 'step-three' })) {
      for (const piece of pieces(secret, 8)) {
        for (const [side, bytes] of Object.entries(wire)) {
          expect(bytes.includes(piece, 0, 'latin1'), `${piece} of the ${name} from the ${side}`).toBe(false)
        }
      }
    }
    const key = Buffer.from(ticket!.encryptionKeyText, 'hex')
    expect([sent.includes(key), received.includes(key)]).toEqual([false, false])
  })

  test('whatever else a connection begins with gets no channel and learns nothing', async () => {
    for (const first of [
      'GET / HTTP/1.1\r\n\r\n',
      '\n',
      `${'x'.repeat(65)}`,
      '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n',
    ]) {
      const socket = await dial({ port: system.ports.channel })
      const heard: Buffer[] = []
      socket.on('data', (bytes) => heard.push(bytes)).on('error', () => {})
      socket.write(Buffer.from(first, 'latin1'))
      await new Promise<void>((resolve) => socket.once('close', () => resolve()))
      expect(Buffer.concat(heard).toString()).not.toContain('"ok":true')
    }
  })
})

describe('step 4: the channel server checks the address, finds the ticket by the id, and takes it once', () => {
  test('a connection from another address is refused by name of that address, and the ticket is not burnt', async () => {
    const ticket = await newTicket(system, 'step-four')
    const socket = await dial(ticket, '127.0.0.2')
    await expect(openChannel(socket, ticket)).rejects.toMatchObject({ code: 'ip-not-allowed', seenIp: '127.0.0.2' })
    expect(await tryOpening(ticket)).toBe('welcome')
  })

  test('an id that nobody was given is refused', async () => {
    const ticket = await newTicket(system, 'step-four')
    const flipped = ticket.workerId.at(-1) === 'A' ? 'B' : 'A'
    expect(await tryOpening({ ...ticket, workerId: ticket.workerId.slice(0, -1) + flipped })).toBe('ticket-refused')
  })

  test('the same ticket a second time is refused', async () => {
    const ticket = await newTicket(system, 'step-four')
    expect(await tryOpening(ticket)).toBe('welcome')
    expect(await tryOpening(ticket)).toBe('ticket-refused')
  })

  test('of fifty openings of one ticket at once, one wins', async () => {
    const ticket = await newTicket(system, 'step-four')
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => tryOpening(ticket)))
    expect(outcomes.filter((outcome) => outcome === 'welcome')).toHaveLength(1)
    expect(outcomes.filter((outcome) => outcome === 'ticket-refused')).toHaveLength(49)
  })

  test('a wrong key opens nothing and does not burn the ticket', async () => {
    const ticket = await newTicket(system, 'step-four')
    const wrong = { ...ticket, encryptionKeyText: '5a'.repeat(32) }
    expect(await tryOpening(wrong)).toBe('key-mismatch')
    expect(await tryOpening(wrong)).toBe('key-mismatch')
    expect(await tryOpening(ticket)).toBe('welcome')
  })

  test('the id alone, overheard, neither opens a channel nor burns the ticket', async () => {
    const ticket = await newTicket(system, 'step-four')
    const eavesdropper = await dial(ticket)
    eavesdropper.write(`${ticket.workerId}\n`)
    await new Promise<void>((resolve) => eavesdropper.once('data', () => resolve()))
    eavesdropper.destroy()
    expect(await tryOpening(ticket)).toBe('welcome')
  })
})

describe('step 5: proxying is done by multiplexing this TCP connection', () => {
  test('many requests at once, to a local server of many connections, through one connection to the channel server', async () => {
    const origin = await ScriptedOrigin.start()
    const relay = await startRecordingRelay(() => ({ host: '127.0.0.1', port: system.ports.channel }))
    const rewriter = await startTicketRewriter(system, { port: relay.port })
    const tunnel = await system.startAgent({
      subdomain: 'step-five',
      target: origin.port,
      server: `http://127.0.0.1:${rewriter.port}`,
    })
    let waiting: (() => void)[] = []
    origin.play(async ({ head, connection, whole }) => {
      await whole()
      // None is answered before all are here: they cannot have come one after the other.
      await new Promise<void>((resolve) => {
        waiting.push(resolve)
        if (waiting.length < 20) return
        for (const go of waiting) go()
        waiting = []
      })
      const path = head.startLine.split(' ')[1]!
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`)
    })
    const paths = Array.from({ length: 20 }, (_, index) => `/${index}`)
    const answers = await Promise.all(
      paths.map((path) => ask(system, `GET ${path} HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)),
    )
    expect(answers.map(({ body }) => body.toString())).toEqual(paths)
    expect(origin.connections.length).toBeGreaterThanOrEqual(20)
    expect(relay.recordings).toHaveLength(1)
    await tunnel.process.stop()
    await rewriter.stop()
    await relay.stop()
    await origin.stop()
  })
})

/** Every run of `length` characters. */
function pieces(text: string, length: number): string[] {
  return Array.from({ length: text.length - length + 1 }, (_, at) => text.slice(at, at + length))
}
