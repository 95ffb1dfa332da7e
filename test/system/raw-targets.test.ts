/** Raw UTF-8 in targets: what a local server gets directly and through the tunnel means the same, and is ASCII behind the tunnel. */
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { HEAD_BYTES, TARGET_BYTES } from '@postern/protocol/limits'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { frame, PREFACE, SETTINGS } from '../../data-plane/src/testing/h2-frames.ts'
import { askOnce } from '../support/http-client.ts'
import { fieldOf, type Message, statusOf } from '../support/http-message.ts'
import { type Script, ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { ask } from '../support/visits.ts'

let system: System
let origin: ScriptedOrigin

const HOST = 'raw.localhost'
/** The bytes of a text in UTF-8, one character for each. */
const raw = (text: string): string => Buffer.from(text).toString('latin1')

const answer: Script = async ({ connection, whole }) => {
  await whole()
  connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
}

/** Says which path and query it has decoded. */
const node = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url!, 'http://any')
  response.end(JSON.stringify([decodeURIComponent(pathname), searchParams.get('q')]))
})

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start()
  await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve))
  // A tunnel with rules: another node parses what the first has written.
  await system.startAgent({ subdomain: 'raw', target: origin.port, args: ['--no-via'] })
  await system.startAgent({ subdomain: 'node', target: (node.address() as AddressInfo).port })
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
  node.closeAllConnections()
  await new Promise((resolve) => node.close(resolve))
})

beforeEach(() => origin.play(answer))

const get = (target: string, host = HOST, version = '1.1'): string =>
  `GET ${target} HTTP/${version}\r\nHost: ${host}\r\n\r\n`

/** The target that the local server got. */
async function received(request: string, port: number): Promise<string> {
  origin.play(answer)
  expect(statusOf(await askOnce(port, request))).toBe(200)
  return origin.requests[0]!.head.startLine.split(' ')[1]!
}

const octets = (target: string): string =>
  Buffer.from(
    target.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('latin1')

const TARGETS: [what: string, target: string, passedOn: string][] = [
  ['umlauts', raw('/grüße'), '/gr%C3%BC%C3%9Fe'],
  ['a query', raw('/search?q=übermäßig&ß=1'), '/search?q=%C3%BCberm%C3%A4%C3%9Fig&%C3%9F=1'],
  ['three and four bytes', raw('/東京/🍺'), '/%E6%9D%B1%E4%BA%AC/%F0%9F%8D%BA'],
  ['beside what is encoded already', raw('/%c3%bc/ü%2F'), '/%c3%bc/%C3%BC%2F'],
  ['beside a percent sign that encodes nothing', raw('/100%ü?%'), '/100%%C3%BC?%'],
  ['marks that combine, unchanged', raw('/u\u0308'), '/u%CC%88'],
  ['a right-to-left mark and a no-break space', raw('/\u200f\u00a0'), '/%E2%80%8F%C2%A0'],
  ['line ends of Unicode', raw('/\u0085\u2028'), '/%C2%85%E2%80%A8'],
  ['slashes and dots of other widths', raw('/／．．'), '/%EF%BC%8F%EF%BC%8E%EF%BC%8E'],
]

describe('raw UTF-8 goes on percent-encoded', () => {
  test.each(TARGETS)('%s', async (_, target, passedOn) => {
    const direct = await received(get(target), origin.port)
    const tunnelled = await received(get(target), system.publicPort)
    expect([direct, tunnelled]).toEqual([target, passedOn])
    expect(octets(tunnelled)).toBe(octets(direct))
  })

  test.each(TARGETS)('%s, by HTTP/1.0 and in a URL', async (_, target, passedOn) => {
    expect(await received(get(target, HOST, '1.0'), system.publicPort)).toBe(passedOn)
    expect(await received(get(`http://${HOST}${target}`), system.publicPort)).toBe(passedOn)
  })

  test.each(TARGETS)('%s, by HTTP/2', async (_, target, passedOn) => {
    const socket = connect(system.publicPort, '127.0.0.1').on('error', () => {})
    socket.resume()
    socket.write(Buffer.concat([PREFACE, SETTINGS, frame(1, 5, 1, fieldsOf(target))]))
    expect((await origin.request()).head.startLine).toBe(`GET ${passedOn} HTTP/1.1`)
    socket.destroy()
  })

  test('the longest target in the largest head arrives', async () => {
    const letters = Math.floor((TARGET_BYTES - 1) / 6)
    const start = `GET /${raw('ö'.repeat(letters))} HTTP/1.1\r\nHost: ${HOST}\r\nX: `
    const request = `${start}${'x'.repeat(HEAD_BYTES - start.length - 4)}\r\n\r\n`
    expect(request).toHaveLength(HEAD_BYTES)
    expect(await received(request, system.publicPort)).toBe(`/${'%C3%B6'.repeat(letters)}`)
    expect(statusOf(await ask(system, request.replace('GET /', 'GET /aaaaaa')))).toBe(414)
  })

  test('a server that refuses it raw answers it through the tunnel', async () => {
    const { port } = node.address() as AddressInfo
    for (const [text, q] of [
      ['/grüße', 'ä'],
      ['/東京', '🍺'],
      ['/é', 'e\u0301'],
    ] as const) {
      const request = (host: string): string => get(raw(`${text}?q=${q}`), host)
      expect(statusOf(await askOnce(port, request('node')))).toBe(400)
      const tunnelled = await ask(system, request('node.localhost'))
      expect(JSON.parse(tunnelled.body.toString())).toEqual([text, q])
    }
  })
})

test.each([
  ['Latin-1', '/gr\xfc\xdfe'],
  ['a slash in an overlong form', '/a\xc0\xafb'],
  ['a sequence that is cut short', '/a\xc3'],
  ['a surrogate', '/\xed\xa0\x80'],
  ['a control character beside it', raw('/ü\x01')],
  ['a fragment beside it', raw('/ü#a')],
])('%s is refused, by HTTP/1 and HTTP/2, and nothing reaches the local server', async (_, target) => {
  const refused: Message = await ask(system, get(target))
  expect([statusOf(refused), fieldOf(refused, 'tunnel-error')]).toEqual([400, 'request-invalid'])
  const socket = connect(system.publicPort, '127.0.0.1').on('error', () => {})
  socket.resume()
  socket.write(Buffer.concat([PREFACE, SETTINGS, frame(1, 5, 1, fieldsOf(target)), frame(1, 5, 3, fieldsOf('/last'))]))
  expect((await origin.request()).head.startLine).toBe('GET /last HTTP/1.1')
  socket.destroy()
})

/** GET, http, the path and the authority as literals without Huffman coding (RFC 7541 §6.2.2), so that each character is a byte. */
const fieldsOf = (path: string): Buffer =>
  Buffer.concat([Buffer.from([0x82, 0x86]), literal(0x04, path), literal(0x01, HOST)])
const literal = (name: number, value: string): Buffer =>
  Buffer.concat([Buffer.from([name, value.length]), Buffer.from(value, 'latin1')])
