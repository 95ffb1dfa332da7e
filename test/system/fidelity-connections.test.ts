import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HttpClient } from '../support/http-client.ts'
import { contentOf, fieldOf, fieldsOf, readResponse, statusOf } from '../support/http-message.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Script, ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { ask } from '../support/visits.ts'

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
    expect(request.startLine).toBe('GET /old HTTP/1.1')
    expect(fieldOf(request, 'connection')).toBe('close')
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
    const answer = await ask(system, get('/'))
    expect(answer.startLine).toBe('HTTP/1.1 200 OK')
    expect(contentOf(answer).toString()).toBe('old')
  })
})
