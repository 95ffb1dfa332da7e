import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HttpClient } from '../support/http-client.ts'
import { contentOf, fieldOf, fieldsOf, readResponse, statusOf } from '../support/http-message.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Script, ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { ask, eventually } from '../support/visits.ts'

let system: System
let origin: ScriptedOrigin
let host: string

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start()
  host = (await system.startAgent({ subdomain: 'endings', target: origin.port })).host
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
})

const respond = (text: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`

/** Answers with the target of the request. */
const echoTarget: Script = async ({ head, connection, whole }) => {
  await whole()
  connection.write(respond(head.startLine.split(' ')[1]!))
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`

describe('an end on one side is an end on the other', () => {
  test('a visitor that goes away while it waits: the local server notices before any time limit', async () => {
    origin.play(({ connection }) => connection.over().then(() => undefined))
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(get('/wait'))
    const { connection } = await origin.request()
    visitor.reset()
    expect(await connection.over()).not.toBe('open')
  })

  test('a visitor that closes in the middle of a download: the local server notices before any time limit', async () => {
    origin.play(({ connection }) => {
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n')
      return connection.over().then(() => undefined)
    })
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(get('/endless'))
    await visitor.saw('1\r\na\r\n')
    const { connection } = await origin.request()
    visitor.close()
    expect(await connection.over()).not.toBe('open')
  })

  test('a visitor that goes away in the middle of its upload: the local server sees a cut, not an end', async () => {
    origin.play(({ connection }) => connection.over().then(() => undefined))
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\nhalf`)
    const { connection } = await origin.request()
    await connection.saw('half')
    visitor.reset()
    expect(await connection.over()).toBe('cut')
  })

  test('600 visitors that vanish at every stage leave nothing behind', async () => {
    // More than twice the streams of a channel: one that was kept for each would be noticed.
    origin.play(async ({ head, connection, whole }) => {
      if (head.startLine.includes('/silent')) return connection.over().then(() => undefined)
      if (head.startLine.includes('/endless')) {
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        while (connection.ending === 'open') {
          connection.write(`400\r\n${'x'.repeat(0x400)}\r\n`)
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
        return
      }
      await whole()
      connection.write(respond('ok'))
    })
    const stages = [
      'GET / HTT',
      get('/silent'),
      get('/endless'),
      get('/') + get('/silent'),
      `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\nhalf`,
      `POST /silent HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
    ]
    const vanish = async (turn: number): Promise<void> => {
      const visitor = await RawConnection.open(system.publicPort)
      visitor.write(stages[turn % stages.length]!)
      await new Promise((resolve) => setTimeout(resolve, turn % 7))
      if (turn % 2 === 0) visitor.reset()
      else visitor.close()
    }
    for (let turn = 0; turn < 600; turn += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, index) => vanish(turn + index)))
    }
    // What is left are kept connections, of which a tunnel has 64 at most, each idle for seconds at most.
    const open = (): number => origin.connections.filter(({ socket }) => !socket.destroyed).length
    await eventually('at most 64 connections to the local server', () => open() <= 64)
    expect((await ask(system, get('/'))).body.toString()).toBe('ok')
  })

  test.each([
    ['Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf'],
    ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
  ])('a local server that ends in the middle of its answer by %s: the visitor sees a cut', async (_, half) => {
    for (const leave of ['close', 'reset', 'end'] as const) {
      origin.play(async ({ connection, whole }) => {
        await whole()
        connection.write(half)
        // Only once it is on its way, or a reset would drop it here already.
        await new Promise((resolve) => setTimeout(resolve, 20))
        connection[leave]()
      })
      const visitor = await RawConnection.open(system.publicPort)
      visitor.write(get('/half'))
      expect(await visitor.over(), leave).toBe('cut')
      expect(readResponse(visitor.bytes, 0, { ended: true }), leave).toBeUndefined()
    }
  })

  test('a local server that resets an answer delimited by the close: the visitor sees a cut, not its end', async () => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.write('HTTP/1.1 200 OK\r\n\r\nhalf')
      await new Promise((resolve) => setTimeout(resolve, 20))
      connection.reset()
    })
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(get('/half'))
    expect(await visitor.over()).toBe('cut')
  })

  test('a visitor that has said all and ends its direction still gets a late reply', async () => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      await new Promise((resolve) => setTimeout(resolve, 100))
      connection.write(respond('late'))
    })
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 3\r\n\r\nabc`)
    visitor.end()
    expect(await visitor.over()).toBe('ended')
    expect(readResponse(visitor.bytes, 0, {})?.body.toString()).toBe('late')
  })

  test('a visitor that ends its direction at once still gets a large answer to its end', async () => {
    const text = 'large answer '.repeat(100_000)
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.end(`HTTP/1.1 200 OK\r\n\r\n${text}`)
    })
    const visitor = await RawConnection.open(system.publicPort)
    visitor.end(get('/'))
    expect(await visitor.over()).toBe('ended')
    expect(contentOf(readResponse(visitor.bytes, 0, {})!).toString()).toBe(text)
  })

  test('a local server that answers early, says close and ends: the visitor has the whole answer while it still sends', async () => {
    for (const leave of ['end', 'close'] as const) {
      // RFC 9112 §9.6: what comes meanwhile is read for a while. `close` does not even do that.
      origin.play(async ({ connection, whole }) => {
        connection.end('HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nearly')
        if (leave === 'end') await whole().catch(() => undefined)
        else setTimeout(() => connection.close(), 50)
      })
      const visitor = await RawConnection.open(system.publicPort)
      visitor.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${1 << 24}\r\n\r\nhalf`)
      const sending = setInterval(() => visitor.write(Buffer.alloc(1 << 16)), 5)
      try {
        const answer = await visitor.until('the answer', () => readResponse(visitor.bytes, 0, { method: 'POST' }))
        expect(answer.body.toString(), leave).toBe('early')
        // The rest of the upload has nowhere to go, so the connection ends with the answer.
        expect(await visitor.over(), leave).toBe('ended')
      } finally {
        clearInterval(sending)
        visitor.close()
      }
    }
  })
})

describe('upgrades', () => {
  const upgrade = (to = host): string =>
    `GET /chat HTTP/1.1\r\nHost: ${to}\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\nX-Mine: 1\r\n\r\n`
  const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n'

  test('any protocol passes byte for byte in both directions, also what came with the heads', async () => {
    const sums = { there: createHash('sha256'), back: createHash('sha256') }
    origin.play(async ({ head, connection }) => {
      expect(fieldOf(head, 'upgrade')).toBe('echo/1')
      expect(fieldOf(head, 'connection')?.toLowerCase()).toBe('upgrade')
      connection.write(`${SWITCH}first`)
      const from = head.end
      let echoed = from
      connection.socket.on('data', () => {
        connection.write(connection.bytes.subarray(echoed))
        echoed = connection.length
      })
      if (connection.length > from) {
        connection.write(connection.bytes.subarray(from))
        echoed = connection.length
      }
      await connection.over()
      connection.end('bye')
    })
    const visitor = await RawConnection.open(system.publicPort)
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, value) => value))
    visitor.write(Buffer.concat([Buffer.from(upgrade()), bytes]))
    sums.there.update(bytes)
    await visitor.until('the echo', () => (visitor.text.includes('\xff') ? true : undefined))
    visitor.write(bytes)
    sums.there.update(bytes)
    // Half-closed: the local server says its last word after ours.
    visitor.end()
    expect(await visitor.over()).toBe('ended')
    const answer = visitor.bytes
    const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4)
    expect(body.subarray(0, 5).toString()).toBe('first')
    expect(body.subarray(-3).toString()).toBe('bye')
    sums.back.update(body.subarray(5, -3))
    expect(sums.back.digest('hex')).toBe(sums.there.digest('hex'))
  })

  test('a refused upgrade is an ordinary answer, and the connection goes on', async () => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
    })
    const client = await HttpClient.open(system.publicPort)
    const refused = await client.ask(upgrade())
    expect(refused.startLine).toBe('HTTP/1.1 403 Forbidden')
    expect(fieldsOf(refused, 'upgrade')).toEqual([])
    origin.play(echoTarget)
    expect((await client.ask(get('/on'))).body.toString()).toBe('/on')
    client.close()
  })

  test('a 101 that nobody asked for is not believed', async () => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.write(SWITCH)
    })
    const answer = await ask(system, get('/'))
    expect(statusOf(answer)).toBe(502)
    expect(fieldOf(answer, 'tunnel-error')).toBe('origin-invalid')
  })
})
