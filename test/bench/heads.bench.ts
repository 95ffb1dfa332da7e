/** Prints what it costs to parse and to write a head, and what node:http needs for a request in process, in CPU time. Run: npx tsx test/bench/heads.bench.ts */
import { createServer } from 'node:http'
import { Duplex } from 'node:stream'
import {
  ForwardedFields,
  RequestHeadParser,
  ResponseHeadParser,
  writeRequestHead,
  writeResponseHead,
} from '@postern/protocol/http'

const ROUNDS = 7
const HEADS_PER_ROUND = 200_000

const request = (fields: string) => Buffer.from(`GET /api/items/42?expand=all HTTP/1.1\r\n${fields}\r\n`, 'latin1')

const HEADS = {
  'load generator, 3 fields': request('Host: demo.localhost:8080\r\nUser-Agent: wrk/4.2\r\nAccept: */*\r\n'),
  'API client, 10 fields': request(
    'Host: demo.example.com\r\nUser-Agent: node\r\nAccept: application/json\r\nAccept-Encoding: gzip, br\r\n' +
      'Accept-Language: en\r\nContent-Type: application/json\r\nCookie: session=0123456789abcdef\r\nOrigin: https://example.com\r\n' +
      'Connection: keep-alive\r\nCache-Control: no-cache\r\n',
  ),
  'browser, 15 fields': request(
    'Host: demo.example.com\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\nsec-ch-ua: "Chromium";v="142", "Not_A Brand";v="24"\r\n' +
      'sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: "Linux"\r\nUpgrade-Insecure-Requests: 1\r\n' +
      'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n' +
      'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nSec-Fetch-Site: none\r\n' +
      'Sec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n' +
      'Accept-Language: en-GB,en;q=0.9\r\n',
  ),
}

const RESPONSE = Buffer.from(
  'HTTP/1.1 200 OK\r\nX-Powered-By: Express\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 27\r\n' +
    'ETag: W/"1b-pFS3s8Z1Zl"\r\nVary: Accept-Encoding\r\nDate: Sun, 22 Nov 2026 14:00:00 GMT\r\nConnection: keep-alive\r\n' +
    'Keep-Alive: timeout=5\r\n\r\n',
  'latin1',
)

/** What the operating system charged this process: a busy machine does not change it much. */
function cpuNanoseconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

/** Best and median CPU nanoseconds of one call, over rounds. */
function measure(call: () => void): string {
  const perCall: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const begin = cpuNanoseconds()
    for (let i = 0; i < HEADS_PER_ROUND; i++) call()
    perCall.push((cpuNanoseconds() - begin) / HEADS_PER_ROUND)
  }
  perCall.sort((a, b) => a - b)
  return `${perCall[0]!.toFixed(0).padStart(6)} ns best ${perCall[ROUNDS >> 1]!.toFixed(0).padStart(6)} ns median`
}

/** CPU nanoseconds of node:http for one request and its empty answer, over a stream that is no socket; best of the rounds. */
async function measureNode(bytes: Buffer): Promise<string> {
  const server = createServer((_request, response) => response.end())
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, callback) => callback() })
  server.emit('connection', stream)
  const perCall: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const begin = cpuNanoseconds()
    for (let i = 0; i < HEADS_PER_ROUND / 10; i++) {
      stream.emit('data', bytes)
      // The answer ends on later ticks, and the next request of a connection waits for it.
      await new Promise((resolve) => setImmediate(resolve))
    }
    perCall.push((cpuNanoseconds() - begin) / (HEADS_PER_ROUND / 10))
  }
  stream.destroy()
  server.close()
  return `${Math.min(...perCall)
    .toFixed(0)
    .padStart(6)} ns best`
}

const forwarded = new ForwardedFields('203.0.113.7', 'https')
const requestId = '01JD9Z6W8Q4N2R5T7V9X1Z3B5D'

for (const [name, bytes] of Object.entries(HEADS)) {
  const parser = new RequestHeadParser()
  const parse = () => parser.parse(bytes, 0, bytes.length)!
  const title = `request, ${name}, ${bytes.length} bytes`
  console.log(`parse ${title.padEnd(50)} ${measure(parse)}`)
  const head = parse()
  console.log(`write ${title.padEnd(50)} ${measure(() => writeRequestHead(head, { forwarded, requestId }))}`)
  console.log(`node:http, request and answer ${' '.repeat(26)} ${await measureNode(bytes)}`)
}

const parser = new ResponseHeadParser()
parser.answer('GET', false)
const title = `response, 8 fields, ${RESPONSE.length} bytes`
console.log(`parse ${title.padEnd(50)} ${measure(() => parser.parse(RESPONSE, 0, RESPONSE.length))}`)
const head = parser.parse(RESPONSE, 0, RESPONSE.length)!
const forwarding = { visitorVersion: 11, keepAlive: true, requestId } as const
console.log(`write ${title.padEnd(50)} ${measure(() => writeResponseHead(head, forwarding))}`)
