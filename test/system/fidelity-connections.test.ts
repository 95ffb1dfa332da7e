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
let neighbour: ScriptedOrigin
let host: string
let neighbourHost: string

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start()
  neighbour = await ScriptedOrigin.start()
  const tunnels = await Promise.all([
    system.startAgent({ subdomain: 'first', target: origin.port }),
    system.startAgent({ subdomain: 'second', target: neighbour.port }),
  ])
  host = tunnels[0].host
  neighbourHost = tunnels[1].host
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
  await neighbour?.stop()
})

const respond = (text: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`

/** Answers with the target of the request. */
const echoTarget: Script = async ({ head, connection, whole }) => {
  await whole()
  connection.write(respond(head.startLine.split(' ')[1]!))
}

const get = (path: string, to = host, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: ${to}\r\n${more}\r\n`

describe('one connection carries many requests', () => {
  test('pipelined requests are answered in their order, also when an earlier one takes longer', async () => {
    origin.play(async (request) => {
      // Later requests answer faster; only waiting for one another keeps the order.
      const wait = 40 - 8 * Number(request.head.startLine.split(' ')[1]!.slice(1))
      await new Promise((resolve) => setTimeout(resolve, wait))
      await echoTarget(request)
    })
    const client = await HttpClient.open(system.publicPort)
    client.send(['/0', '/1', '/2', '/3', '/4'].map((path) => get(path)).join(''))
    for (const path of ['/0', '/1', '/2', '/3', '/4']) {
      expect((await client.next()).body.toString()).toBe(path)
    }
    client.close()
  })

  test('pipelined requests with bodies are told apart at the right byte', async () => {
    origin.play(async ({ connection, whole }) => {
      const { body } = await whole()
      connection.write(respond(body.toString('latin1')))
    })
    const client = await HttpClient.open(system.publicPort)
    const chunked = '3\r\nGET\r\n0\r\n\r\n'
    client.send(
      `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n` +
        `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}` +
        `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`,
    )
    expect((await client.next('POST')).body.toString()).toBe('GET / HTTP/1.1\r\n\r\n')
    expect((await client.next('POST')).body.toString()).toBe(chunked)
    expect((await client.next('POST')).body.toString()).toBe('')
    client.close()
  })

  test('the Host of each request decides its tunnel', async () => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.write(respond('first'))
    })
    neighbour.play(async ({ connection, whole }) => {
      await whole()
      connection.write(respond('second'))
    })
    const client = await HttpClient.open(system.publicPort)
    for (const [to, name] of [
      [host, 'first'],
      [neighbourHost, 'second'],
      [host.toUpperCase(), 'first'],
      [neighbourHost, 'second'],
    ] as const) {
      expect((await client.ask(get('/', to))).body.toString()).toBe(name)
    }
    // Pipelined, too: the second is not swallowed by the tunnel of the first.
    client.send(get('/', neighbourHost) + get('/', host))
    expect((await client.next()).body.toString()).toBe('second')
    expect((await client.next()).body.toString()).toBe('first')
    client.close()
  })

  test('a target in absolute-form is routed by its authority and reaches the local server as a path', async () => {
    origin.play(echoTarget)
    const answer = await ask(system, `GET http://${host}/path?q HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    expect(answer.body.toString()).toBe('/path?q')
  })

  test('after a 404 of ours the connection goes on', async () => {
    origin.play(echoTarget)
    const client = await HttpClient.open(system.publicPort)
    const missing = await client.ask(get('/', `nobody-here.${system.base}`))
    expect(statusOf(missing)).toBe(404)
    expect(fieldOf(missing, 'connection')).not.toBe('close')
    expect((await client.ask(get('/again'))).body.toString()).toBe('/again')
    client.close()
  })

  test('after a 502 of ours the connection goes on', async () => {
    origin.play(({ connection }) => connection.close())
    const client = await HttpClient.open(system.publicPort)
    // Not idempotent, so that it is not sent a second time.
    const failed = await client.ask(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1\r\n\r\nx`)
    expect(statusOf(failed)).toBe(502)
    origin.play(echoTarget)
    expect((await client.ask(get('/again'))).body.toString()).toBe('/again')
    client.close()
  })

  test('a visitor that says close is closed after its answer', async () => {
    origin.play(echoTarget)
    const client = await HttpClient.open(system.publicPort)
    const answer = await client.ask(get('/last', host, 'Connection: close\r\n'))
    expect(fieldOf(answer, 'connection')?.toLowerCase()).toBe('close')
    expect(await client.connection.over()).toBe('ended')
    client.close()
  })

  test('a local server that says close costs the visitor nothing', async () => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
    })
    const client = await HttpClient.open(system.publicPort)
    for (let round = 0; round < 3; round++) expect(statusOf(await client.ask(get('/')))).toBe(200)
    client.close()
  })

  test('what a local server sends behind its answer becomes nobody’s answer', async () => {
    origin.play(async (request) => {
      const path = request.head.startLine.split(' ')[1]!
      await request.whole()
      if (path === '/two') request.connection.write(respond('one') + respond('smuggled'))
      else request.connection.write(respond(path))
    })
    const client = await HttpClient.open(system.publicPort)
    expect((await client.ask(get('/two'))).body.toString()).toBe('one')
    const { connection } = await origin.request()
    for (const path of ['/a', '/b', '/c']) expect((await client.ask(get(path))).body.toString()).toBe(path)
    // What follows may come at any time, so that connection is never used again.
    expect(origin.requests.filter((request) => request.connection === connection)).toHaveLength(1)
    client.close()
  })

  test('a body behind the answer to HEAD, to 204 and to 304 becomes nobody’s answer either', async () => {
    origin.play(async (request) => {
      const [method, path] = request.head.startLine.split(' ') as [string, string]
      await request.whole()
      if (method === 'HEAD') request.connection.write(respond(respond('smuggled')))
      else if (/^\/\d/.test(path))
        request.connection.write(`HTTP/1.1 ${path.slice(1)} Bodiless\r\n\r\n${respond('smuggled')}`)
      else request.connection.write(respond(path))
    })
    const client = await HttpClient.open(system.publicPort)
    for (const request of [get('/').replace('GET', 'HEAD'), get('/204'), get('/304')]) {
      await client.ask(request)
      expect((await client.ask(get('/next'))).body.toString()).toBe('/next')
    }
    client.close()
  })
})

describe('a kept connection to the local server that turns out to be dead', () => {
  /** Answers the first request of each connection, and hangs up at the second without a word. */
  const answerOnce: Script = async (request) => {
    await request.whole()
    if (request.from > 0) return request.connection.close()
    request.connection.write(respond(request.head.startLine))
  }

  const countOf = (method: string): number =>
    origin.requests.filter(({ head }) => head.startLine.startsWith(method)).length

  test('a GET is sent once more, on a fresh one', async () => {
    origin.play(answerOnce)
    const client = await HttpClient.open(system.publicPort)
    for (const path of ['/1', '/2', '/3']) {
      expect((await client.ask(get(path))).body.toString()).toBe(`GET ${path} HTTP/1.1`)
    }
    expect(countOf('GET')).toBeGreaterThan(3)
    client.close()
  })

  test('a PUT is, with its body', async () => {
    origin.play(async (request) => {
      const { body } = await request.whole()
      if (request.from > 0) return request.connection.close()
      request.connection.write(respond(body.toString('latin1')))
    })
    const client = await HttpClient.open(system.publicPort)
    for (const text of ['first', 'again']) {
      const put = `PUT / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\n\r\n${text}`
      expect((await client.ask(put)).body.toString()).toBe(text)
    }
    expect(countOf('PUT')).toBeGreaterThan(2)
    client.close()
  })

  test('a POST is never delivered twice', async () => {
    origin.play(answerOnce)
    const client = await HttpClient.open(system.publicPort)
    expect(statusOf(await client.ask(get('/')))).toBe(200)
    const answer = await client.ask(`POST /pay HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1\r\n\r\n1`)
    expect(countOf('POST')).toBe(1)
    expect(statusOf(answer)).toBe(502)
    client.close()
  })
})

describe('500 requests at once', () => {
  test('on 50 connections of visitors, each gets its own answer', async () => {
    // Odd ones are chunked and answered late, so that answers finish in another order than requests came.
    origin.play(async (request) => {
      const path = request.head.startLine.split(' ')[1]!
      await request.whole()
      const text = path.repeat(50)
      if (Number(path.slice(-1)) % 2 === 0) return request.connection.write(respond(text))
      await new Promise((resolve) => setTimeout(resolve, 5))
      request.connection.write(
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`,
      )
    })
    const visitors = await Promise.all(Array.from({ length: 50 }, () => HttpClient.open(system.publicPort)))
    await Promise.all(
      visitors.map(async (client, visitor) => {
        const paths = Array.from({ length: 10 }, (_, index) => `/v${visitor}-r${index}`)
        client.send(paths.map((path) => get(path)).join(''))
        for (const path of paths) expect(contentOf(await client.next()).toString()).toBe(path.repeat(50))
        client.close()
      }),
    )
    expect(origin.requests).toHaveLength(500)
  })
})

describe('an end on one side is an end on the other', () => {
  test('a visitor that goes away while it waits: the local server notices within a second', async () => {
    origin.play(({ connection }) => connection.over().then(() => undefined))
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(get('/wait'))
    const { connection } = await origin.request()
    const left = performance.now()
    visitor.reset()
    await connection.over()
    expect(connection.endedAt - left).toBeLessThan(1000)
  })

  test('a visitor that closes in the middle of a download: the local server notices within a second', async () => {
    origin.play(({ connection }) => {
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n')
      return connection.over().then(() => undefined)
    })
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(get('/endless'))
    await visitor.saw('1\r\na\r\n')
    const { connection } = await origin.request()
    const left = performance.now()
    visitor.close()
    await connection.over()
    expect(connection.endedAt - left).toBeLessThan(1000)
  })

  test('a visitor that goes away in the middle of its upload: the local server sees a cut, not an end', async () => {
    origin.play(({ connection }) => connection.over().then(() => undefined))
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\nhalf`)
    const { connection } = await origin.request()
    await connection.saw('half')
    const left = performance.now()
    visitor.reset()
    expect(await connection.over()).toBe('cut')
    expect(connection.endedAt - left).toBeLessThan(1000)
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
    expect(readResponse(visitor.bytes, 0, { ended: true })?.body.toString()).toBe(text)
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

describe('HTTP/1.0', () => {
  test('a visitor of version 1.0 that asks to be kept is, where the answer has a length', async () => {
    origin.play(echoTarget)
    const client = await HttpClient.open(system.publicPort)
    for (const path of ['/1', '/2']) {
      const answer = await client.ask(`GET ${path} HTTP/1.0\r\nHost: ${host}\r\nConnection: keep-alive\r\n\r\n`)
      expect(answer.body.toString()).toBe(path)
      expect(fieldOf(answer, 'connection')?.toLowerCase()).toBe('keep-alive')
    }
    client.close()
  })

  test('a visitor of version 1.0 is answered and closed', async () => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.end('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end')
    })
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(`GET /old HTTP/1.0\r\nHost: ${host}\r\n\r\n`)
    expect(await visitor.over()).toBe('ended')
    const answer = readResponse(visitor.bytes, 0, { ended: true })!
    expect(answer.body.toString()).toBe('until the end')
    const request = await (await origin.request()).whole()
    expect(request.startLine).toBe('GET /old HTTP/1.0')
  })

  test('a visitor of version 1.0 never sees chunks nor interim responses', async () => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.write('HTTP/1.1 103 Early Hints\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
      connection.end('6\r\n world\r\n0\r\nX-T: 1\r\n\r\n')
    })
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(`GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`)
    expect(await visitor.over()).toBe('ended')
    const answer = readResponse(visitor.bytes, 0, { ended: true })!
    expect(statusOf(answer)).toBe(200)
    expect(fieldsOf(answer, 'transfer-encoding')).toEqual([])
    expect(answer.body.toString()).toBe('hello world')
  })

  test('a visitor of version 1.1 may be told an answer of version 1.0', async () => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.end('HTTP/1.0 200 OK\r\n\r\nold')
    })
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(get('/'))
    expect(await visitor.over()).toBe('ended')
    expect(readResponse(visitor.bytes, 0, { ended: true })!.body.toString()).toBe('old')
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
