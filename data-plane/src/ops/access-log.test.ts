import { LOGGED_PATH_CHARACTERS } from '@postern/protocol/limits'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type RecordedHead, RequestRecord } from '../proxy/request-record.ts'
import { AccessLog } from './access-log.ts'
import { LineWriter } from './line-writer.ts'

const NOON = Date.UTC(2026, 10, 27, 12)

/** A log, a clock, and the lines that came of it. */
function begin({ query = false } = {}) {
  let now = 5000.25
  const pieces: string[] = []
  const writer = new LineWriter({
    outlet: (bytes, done) => {
      pieces.push(bytes.toString('utf8'))
      done(undefined, false)
    },
  })
  const log = new AccessLog({
    base: 'example.com',
    query,
    lines: writer,
    clock: () => NOON + Math.floor(now) - 5000,
    now: () => now,
  })
  const record = new RequestRecord('2001:db8::7', () => now)
  const text = (): string => {
    log.flush()
    return pieces.join('')
  }
  return {
    log,
    record,
    pass: (ms: number) => {
      now += ms
    },
    text,
    lines: (): Record<string, unknown>[] =>
      text()
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line)),
    /** A request that is refused at once. */
    refuse(head: RecordedHead | undefined) {
      record.begin('r-1', head, 10, 'HTTP/1.1')
      record.status = 404
      record.fault = 'tunnel-not-found'
      record.over('refused')
      log.over(record)
    },
  }
}

test('each request of a shared connection is its own visitor’s, and of the tunnel above its host', () => {
  const { record, refuse, lines } = begin()
  const head = { method: 'GET', host: 'app.demo.example.com', path: '/' }
  for (const visitor of ['203.0.113.7', '203.0.113.7', '203.0.113.8']) {
    record.visitor = visitor
    refuse(head)
  }
  expect(lines().map(({ visitor, tunnel }) => [visitor, tunnel])).toEqual([
    ['203.0.113.7', 'demo'],
    ['203.0.113.7', 'demo'],
    ['203.0.113.8', 'demo'],
  ])
})

test('a request is one line with all that is known of it', () => {
  const { log, record, pass, lines } = begin()
  const head = { method: 'GET', host: 'demo.example.com:8443', path: '/a?token=secret' }
  const at = record.begin('boot-1', head, 120, 'HTTP/1.1')
  pass(250)
  record.admitted(at + 250, 2)
  pass(30.5)
  record.answered(200)
  record.bytesIn += 30
  record.bytesOut += 5000
  pass(1000)
  record.over('whole')
  log.over(record)
  expect(lines()).toEqual([
    {
      event: 'request',
      time: '2026-11-27T12:00:01.280Z',
      requestId: 'boot-1',
      visitor: '2001:db8::7',
      protocol: 'HTTP/1.1',
      tunnel: 'demo',
      method: 'GET',
      path: '/a',
      status: 200,
      end: 'whole',
      bytesIn: 150,
      bytesOut: 5000,
      totalMs: 1280.5,
      holdMs: 250,
      channelMs: 2,
      originMs: 28.5,
    },
  ])
})

test('what was refused has its fault, and what was no request neither method nor path', () => {
  const { refuse, lines } = begin()
  refuse({ method: 'POST', host: 'other.org', path: '/' })
  refuse(undefined)
  const [known, unread] = lines()
  expect(known).toMatchObject({ host: 'other.org', method: 'POST', fault: 'tunnel-not-found', end: 'refused' })
  expect(unread).not.toHaveProperty('path')
  expect(unread).not.toHaveProperty('originMs')
})

test('the query is told only where that was asked for', () => {
  const head = { method: 'GET', host: 'demo.example.com', path: '/a?b=c' }
  const without = begin()
  without.refuse(head)
  expect(without.lines()[0]!.path).toBe('/a')
  const with_ = begin({ query: true })
  with_.refuse(head)
  expect(with_.lines()[0]!.path).toBe('/a?b=c')
})

test('one connection that asks for one tunnel after the other names each', () => {
  const { refuse, lines } = begin()
  for (const name of ['one', 'two', 'one']) refuse({ method: 'GET', host: `${name}.example.com`, path: '/' })
  refuse({ method: 'PUT', host: 'one.example.com', path: '/' })
  expect(lines().map(({ tunnel, method }) => `${method} ${tunnel}`)).toEqual([
    'GET one',
    'GET two',
    'GET one',
    'PUT one',
  ])
})

test('whatever a request holds, its line is one line of ASCII, and JSON that says just that', () => {
  const text = fc.string({ unit: 'binary', maxLength: 100 })
  const { refuse, text: written } = begin({ query: true })
  let seen = 0
  fc.assert(
    fc.property(text, text, text, (method, host, path) => {
      refuse({ method, host, path })
      const line = written().slice(seen)
      seen += line.length
      expect(line).toMatch(/^[\x20-\x7e]+\n$/)
      const told = JSON.parse(line)
      expect(Object.keys(told).slice(0, 5)).toEqual(['event', 'time', 'requestId', 'visitor', 'protocol'])
      expect(told).toMatchObject({ path, status: 404, bytesIn: 10 })
    }),
  )
})

test.each(['/"},{"event":"request"', '/\\', '/\n{"event":"request"}', '/\u0122', '/\ud800', '/\u2028', '/é'])(
  'the path %j cannot end its string',
  (path) => {
    const { refuse, lines } = begin()
    refuse({ method: 'GET', host: 'demo.example.com', path })
    expect(lines()).toHaveLength(1)
    expect(lines()[0]!.path).toBe(path)
  },
)

test('the longest there can be is a line that no log driver cuts in two', () => {
  const { refuse, text, lines } = begin({ query: true })
  const worst = '\u0001'.repeat(32_000)
  refuse({ method: worst, host: worst, path: worst })
  expect(text().length).toBeLessThan(16 * 1024)
  expect(lines()[0]!.path).toBe(`${worst.slice(0, LOGGED_PATH_CHARACTERS)}...`)
})

test('times go on over seconds, and follow a clock that was set', () => {
  const { refuse, pass, lines } = begin()
  for (const ms of [0, 999, 1, 500, 3_600_000]) {
    pass(ms)
    refuse(undefined)
  }
  expect(lines().map(({ time }) => time)).toEqual([
    '2026-11-27T12:00:00.000Z',
    '2026-11-27T12:00:00.999Z',
    '2026-11-27T12:00:01.000Z',
    '2026-11-27T12:00:01.500Z',
    '2026-11-27T13:00:01.500Z',
  ])
})

test.each(['/', '/a/b?c=d', '/"\\', `/${'x'.repeat(3000)}`, `/${'"'.repeat(2047)}`, '/a b', '/é'])(
  'the path %j is told in the same way out of its bytes',
  (path) => {
    const [asText, asBytes] = [begin(), begin()]
    const head = { method: 'GET', host: 'demo.example.com', path }
    asText.refuse(head)
    const pathBuffer = Buffer.from(`GET ${path} HTTP/1.1`, 'latin1')
    asBytes.refuse({ ...head, pathBuffer, pathFrom: 4, pathTo: 4 + path.length })
    expect(asBytes.text()).toBe(asText.text())
  },
)
