import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Compared, type Comparison, compare, sending, textOf } from '../support/comparison.ts'
import { HttpClient } from '../support/http-client.ts'
import { chunkSizes, fieldOf, fieldsOf, readResponse } from '../support/http-message.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Script, ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { ask } from '../support/visits.ts'

let system: System
let origin: ScriptedOrigin
let host: string

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start()
  host = (await system.startAgent({ subdomain: 'fidelity', target: origin.port })).host
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
})

/** Answers every request with these bytes, once the request is whole. */
const answering =
  (...pieces: string[]): Script =>
  async ({ connection, whole }) => {
    await whole()
    for (const piece of pieces) connection.write(piece)
  }

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

const visiting = (visit: Comparison['visit'], script: Script): Promise<Compared> =>
  compare({ origin, publicPort: system.publicPort, visit, script })

const both = (request: string, script: Script): Promise<Compared> => visiting(sending(request), script)

describe('what the visitor sends arrives as it was sent', () => {
  test('fields keep their order, their case, their white space inside and their repetitions', async () => {
    const { tunnelled } = await both(
      `GET /a?b=%20&c=//d;e HTTP/1.1\r\nHost: ${host}\r\nx-LOWER-Upper: One  two\r\nAccept: a/b\r\nX-Twice: 2\r\nCookie: a=1; b=2\r\nX-Twice: 1\r\nX-Empty:\r\n\r\n`,
      answering(OK),
    )
    expect(fieldsOf(tunnelled.request, 'X-Twice')).toEqual(['2', '1'])
  })

  test('bytes above 127 in a field value and percent-encoding in the target are left alone', async () => {
    await both(
      `GET /%C3%BC/%2e%2e/x?q=%00 HTTP/1.1\r\nHost: ${host}\r\nX-Name: J\xfcrgen \xe2\x82\xac\r\n\r\n`,
      answering(OK),
    )
  })

  test('a body with Content-Length', async () => {
    await both(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 12\r\n\r\nhello\r\n\0 you`, answering(OK))
  })

  test('a chunked body keeps its chunks, its extensions and its trailers', async () => {
    const chunks = '5;name=value\r\nhello\r\n1\r\n \r\n05\r\nworld\r\n0\r\nX-Sum: 10\r\nx-other: b\r\n\r\n'
    const { tunnelled } = await both(
      `POST /up HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n${chunks}`,
      answering(OK),
    )
    expect(tunnelled.request.body.toString('latin1')).toBe(chunks)
    expect(chunkSizes(tunnelled.request.body)).toEqual([5, 1, 5])
  })

  test('a chunked body keeps its other trailers where some may not stand there, in one piece and byte by byte', async () => {
    const head = `POST /up HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`
    const body = (...trailers: string[]) => `2\r\nhi\r\n0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`
    const sent = head + body('X-Sum: 1', 'Postern-Request-Id: 2', 'Host: b', 'X-End: 3')
    for (const pieces of [[sent], [...sent]]) {
      origin.play(answering(OK))
      const visitor = await HttpClient.open(system.publicPort)
      for (const piece of pieces) {
        visitor.send(piece)
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect((await visitor.next('POST')).body.toString()).toBe('ok')
      expect((await origin.requests.at(-1)!.whole()).body.toString()).toBe(body('X-Sum: 1', 'X-End: 3'))
      visitor.close()
    }
  })

  test('a request that comes byte by byte', async () => {
    const request = `PUT /slow HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n`
    await visiting(async (client) => {
      for (const byte of request) {
        client.send(byte)
        // Each in a segment of its own: the next is written when the system has taken this one.
        await new Promise((resolve) => setImmediate(resolve))
      }
      return client.answer('PUT')
    }, answering(OK))
  })

  test.each(['PROPFIND', 'BREW', 'M-SEARCH', 'a!b'])(
    'the unknown method %s, with and without a body',
    async (method) => {
      const { tunnelled } = await both(`${method} / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, answering(OK))
      expect(tunnelled.request.startLine).toBe(`${method} / HTTP/1.1`)
      await both(`${method} / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 3\r\n\r\nabc`, answering(OK))
    },
  )

  test('OPTIONS *', async () => {
    const { tunnelled } = await both(`OPTIONS * HTTP/1.1\r\nHost: ${host}\r\n\r\n`, answering(OK))
    expect(tunnelled.request.startLine).toBe('OPTIONS * HTTP/1.1')
  })

  test('Expect: 100-continue: the body is sent only after the 100 of the local server', async () => {
    const script: Script = async ({ connection, whole }) => {
      connection.write('HTTP/1.1 100 Continue\r\n\r\n')
      const { body } = await whole()
      connection.write(`HTTP/1.1 201 Created\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    }
    const { tunnelled } = await visiting(async (client) => {
      client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`)
      const interim = [await client.next('POST')]
      client.send('body')
      return { interim, response: await client.next('POST') }
    }, script)
    expect(tunnelled.interim[0]!.startLine).toBe('HTTP/1.1 100 Continue')
    expect(textOf(tunnelled.response)).toBe('body')
  })

  test.each(['waits on', 'sends its body after all'])(
    'Expect: 100-continue: a refusal reaches the visitor whole, and the connection ends in good order: it %s',
    async (what) => {
      const refusal = 'no'.repeat(500_000)
      origin.play(({ connection }) => {
        connection.write(`HTTP/1.1 417 Expectation Failed\r\nContent-Length: ${refusal.length}\r\n\r\n${refusal}`)
      })
      const visitor = await RawConnection.open(system.publicPort)
      visitor.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 400000\r\n\r\n`)
      await visitor.saw('\r\n\r\n')
      if (what !== 'waits on') visitor.write(Buffer.alloc(400_000))
      expect(await visitor.over()).toBe('ended')
      const answer = readResponse(visitor.bytes, 0, { method: 'POST' })!
      expect(fieldOf(answer, 'connection')).toBe('close')
      expect(answer.body.toString()).toBe(refusal)
      visitor.close()
    },
  )
})

describe('what the local server answers arrives as it was sent', () => {
  const get = (path = '/') => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`

  test('Set-Cookie fields stay apart and in order, and other fields keep theirs', async () => {
    const { tunnelled } = await both(
      get(),
      answering(
        'HTTP/1.1 200 Very Well\r\nset-cookie: a=1; Path=/\r\nX-Between: yes\r\nSet-Cookie: b=2; HttpOnly\r\nSET-COOKIE: c=3\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n',
      ),
    )
    expect(fieldsOf(tunnelled.response, 'set-cookie')).toEqual(['a=1; Path=/', 'b=2; HttpOnly', 'c=3'])
    expect(tunnelled.response.startLine).toBe('HTTP/1.1 200 Very Well')
    expect(fieldOf(tunnelled.response, 'date')).toBe('Mon, 01 Jan 2024 00:00:00 GMT')
  })

  test('a response without a Date is given one, and one with a Date keeps its own', async () => {
    const before = Math.floor(Date.now() / 1000)
    const { tunnelled } = await both(get(), answering(OK))
    const [date = '', ...others] = fieldsOf(tunnelled.response, 'date')
    expect(others).toEqual([])
    expect(Date.parse(date) / 1000).toBeGreaterThanOrEqual(before)
    const dated = 'Sun, 06 Nov 1994 08:49:37 GMT'
    const kept = await both(get(), answering(OK.replace('\r\n', `\r\nDate: ${dated}\r\n`)))
    expect(fieldsOf(kept.tunnelled.response, 'date')).toEqual([dated])
  })

  test('a chunked body keeps its chunks and its trailers', async () => {
    const body = '1\r\na\r\n3;x\r\nbcd\r\n0\r\nX-Checksum: 4\r\n\r\n'
    const { tunnelled } = await both(
      get(),
      answering(`HTTP/1.1 200 OK\r\nTrailer: X-Checksum\r\nTransfer-Encoding: chunked\r\n\r\n${body}`),
    )
    expect(tunnelled.response.body.toString('latin1')).toBe(body)
  })

  test('a chunked body keeps its other trailers where some may not stand there, in one piece and byte by byte', async () => {
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
    const body = (...trailers: string[]) => `2\r\nhi\r\n0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`
    const sent =
      head + body('Grpc-Status: 0', 'Postern-Request-Id: 1', 'Proxy-Status: a', 'Content-Length: 9', 'X-End: 3')
    const visitor = await HttpClient.open(system.publicPort)
    for (const pieces of [[sent], [...sent]]) {
      origin.play(async ({ connection, whole }) => {
        await whole()
        for (const piece of pieces) {
          connection.write(piece)
          await new Promise((resolve) => setImmediate(resolve))
        }
      })
      expect((await visitor.ask(get())).body.toString()).toBe(body('Grpc-Status: 0', 'X-End: 3'))
    }
    visitor.close()
  })

  test('HEAD: the length a GET would bring, and no body', async () => {
    const request = `HEAD / HTTP/1.1\r\nHost: ${host}\r\n\r\n`
    await both(request, answering('HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: "x"\r\n\r\n'))
    await both(request, answering('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'))
  })

  test('204 and 304 end with their head, whatever their fields say', async () => {
    await both(get(), answering('HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n'))
    await both(get(), answering('HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: "x"\r\n\r\n'))
  })

  test('early hints come before the answer, each as it was sent', async () => {
    const { tunnelled } = await both(
      get(),
      answering(
        'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n',
        'HTTP/1.1 102 Processing\r\n\r\n',
        OK,
      ),
    )
    expect(tunnelled.interim.map(({ startLine }) => startLine)).toEqual([
      'HTTP/1.1 103 Early Hints',
      'HTTP/1.1 102 Processing',
    ])
  })

  test('a body that only the close delimits', async () => {
    for (const version of ['1.0', '1.1']) {
      origin.play(async ({ connection, whole }) => {
        await whole()
        connection.end(`HTTP/${version} 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end`)
      })
      const client = await HttpClient.open(system.publicPort)
      // In chunks, so that its end is to be seen, and another request may follow.
      for (let turn = 0; turn < 2; turn++) {
        const answer = await client.ask(get())
        expect(fieldsOf(answer, 'transfer-encoding')).toEqual(['chunked'])
        expect(textOf(answer)).toBe('until the end')
      }
      client.close()
    }
  })

  test('an answer in single bytes', async () => {
    await both(get(), async ({ connection, whole }) => {
      await whole()
      for (const byte of 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n') {
        connection.write(byte)
        await new Promise((resolve) => setImmediate(resolve))
      }
    })
  })

  test.each([400, 404, 418, 500, 502, 503, 599])('its own status %i is not ours', async (status) => {
    const { tunnelled } = await both(get(), answering(`HTTP/1.1 ${status} Its Own\r\nContent-Length: 3\r\n\r\nits`))
    expect(fieldsOf(tunnelled.response, 'tunnel-error')).toEqual([])
  })

  test('an answer that comes before the body was read: the visitor has it while it still sends', async () => {
    const { tunnelled } = await visiting(
      async (client) => {
        client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 10\r\n\r\nhalf `)
        const response = await client.next('POST')
        client.send('whole')
        return { interim: [], response }
      },
      async ({ connection, whole }) => {
        connection.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much')
        await whole()
      },
    )
    expect(textOf(tunnelled.response)).toBe('too much')
  })
})

describe('what is said about the visitor is ours to say', () => {
  const spoofed = [
    'X-Forwarded-For: 6.6.6.6',
    'x-forwarded-proto: gopher',
    'X-FORWARDED-HOST: evil.example',
    'X-Forwarded-Port: 1',
    'Forwarded: for=6.6.6.6;host=evil.example',
    'X-Real-IP: 6.6.6.6',
    'Postern-Request-Id: chosen-by-the-visitor',
    'Proxy-Authorization: Basic c2VjcmV0',
    'Proxy-Connection: keep-alive',
  ]

  test('spoofed fields are dropped, and ours are set once each', async () => {
    origin.play(answering(OK))
    const response = await ask(system, `GET / HTTP/1.1\r\nHost: ${host}\r\n${spoofed.join('\r\n')}\r\n\r\n`)
    const request = await (await origin.request()).whole()
    expect(request.lines.join('\n')).not.toMatch(/6\.6\.6\.6|gopher|evil|chosen|c2VjcmV0|Proxy-/i)
    expect(fieldOf(request, 'x-forwarded-for')).toBe('127.0.0.1')
    expect(fieldOf(request, 'x-forwarded-proto')).toBe('http')
    expect(fieldOf(request, 'x-forwarded-host')).toBe(host)
    expect(fieldOf(request, 'via')).toMatch(/^1\.1 /)
    expect(fieldOf(request, 'postern-request-id')).toMatch(/^[\w-]{8,}$/)
    expect(fieldOf(response, 'postern-request-id')).toBe(fieldOf(request, 'postern-request-id'))
  })

  test('fields that Connection names go no further than us', async () => {
    origin.play(answering(OK))
    await ask(
      system,
      `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\nTE: trailers\r\nX-End: 2\r\n\r\n`,
    )
    const request = await (await origin.request()).whole()
    expect(fieldsOf(request, 'x-hop')).toEqual([])
    expect(fieldsOf(request, 'keep-alive')).toEqual([])
    expect(fieldOf(request, 'x-end')).toBe('2')
  })

  test('a tunnel-error of the local server is not believed to be ours', async () => {
    origin.play(answering('HTTP/1.1 200 OK\r\ntunnel-error: host-unknown\r\nContent-Length: 0\r\n\r\n'))
    const response = await ask(system, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    expect(fieldsOf(response, 'tunnel-error')).toEqual([])
  })
})
