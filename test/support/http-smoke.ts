/** The core of HTTP/1.1 in a dozen exchanges: what a visitor does and what the local server does. Knows nothing of what lies between. */
import { type Comparison, sending } from './comparison.ts'
import type { Script } from './scripted-origin.ts'

export interface SmokeExchange {
  readonly title: string
  /** `host`: what the visitor names. */
  readonly visit: (host: string) => Comparison['visit']
  readonly script: Script
  /** As a comparison's. */
  readonly comesInChunks?: boolean
}

const answering =
  (...pieces: string[]): Script =>
  async ({ connection, whole }) => {
    await whole()
    for (const piece of pieces) connection.write(piece)
  }

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const asking =
  (startLine: string, rest = '\r\n') =>
  (host: string): Comparison['visit'] =>
    sending(`${startLine} HTTP/1.1\r\nHost: ${host}\r\n${rest}`)

export const HTTP_SMOKE: readonly SmokeExchange[] = [
  {
    title: 'fields in their order, their case and their repetitions',
    visit: asking('GET /a?b=%20', 'x-LOWER: One  two\r\nX-Twice: 2\r\nCookie: a=1\r\nX-Twice: 1\r\nX-Empty:\r\n\r\n'),
    script: answering(
      'HTTP/1.1 200 Very Well\r\nset-cookie: a=1\r\nX-B: y\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n',
    ),
  },
  {
    title: 'a body with Content-Length',
    visit: asking('POST /', 'Content-Length: 12\r\n\r\nhello\r\n\0 you'),
    script: answering(OK),
  },
  {
    title: 'chunks with extensions and trailers, both ways',
    visit: asking(
      'POST /up',
      'Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;name=value\r\nhello\r\n05\r\nworld\r\n0\r\nX-Sum: 10\r\n\r\n',
    ),
    script: answering(
      'HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n',
      '1\r\na\r\n3;x\r\nbcd\r\n0\r\nX-T: 4\r\n\r\n',
    ),
  },
  {
    title: 'HEAD, whose length announces nothing',
    visit: asking('HEAD /'),
    script: answering('HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n'),
  },
  { title: '204', visit: asking('DELETE /x'), script: answering('HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n') },
  {
    title: '304 with a length',
    visit: asking('GET /x'),
    script: answering('HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n'),
  },
  {
    title: 'early hints',
    visit: asking('GET /x'),
    script: answering('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n', OK),
  },
  {
    title: 'a body that only the end of the connection delimits',
    visit: asking('GET /x'),
    script: async ({ connection, whole }) => {
      await whole()
      connection.end('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end')
    },
    comesInChunks: true,
  },
  {
    title: 'a method without a body stays without one',
    visit: asking('PROPFIND /dav', 'Depth: 1\r\n\r\n'),
    script: answering('HTTP/1.1 207 Multi-Status\r\nContent-Length: 3\r\n\r\nxml'),
  },
  {
    title: 'Expect: 100-continue',
    visit: (host) => async (client) => {
      client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`)
      const interim = [await client.next('POST')]
      client.send('body')
      return { interim, response: await client.next('POST') }
    },
    script: async ({ connection, whole }) => {
      connection.write('HTTP/1.1 100 Continue\r\n\r\n')
      const { body } = await whole()
      connection.write(`HTTP/1.1 201 Created\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    },
  },
  {
    title: 'an answer while the body still comes',
    visit: (host) => async (client) => {
      client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 10\r\n\r\nhalf `)
      const response = await client.next('POST')
      client.send('whole')
      return { interim: [], response }
    },
    script: async ({ connection, whole }) => {
      connection.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much')
      await whole()
    },
  },
]
