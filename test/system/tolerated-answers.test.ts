/** Answers of local servers as they are, read by curl directly and through the tunnel: the same to both, and to visitors always in clean form. nginx takes what its column says. */
import { spawnSync } from 'node:child_process'
import type { IncomingHttpHeaders } from 'node:http2'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listedDifferences } from '../suites/differences.ts'
import { UNDATED_RESPONSE_MASK } from '../support/comparison.ts'
import { HttpClient } from '../support/http-client.ts'
import { contentOf, type Message, statusOf } from '../support/http-message.ts'
import { answerOf, visitByHttp2 } from '../support/http2-visits.ts'
import { NGINX, type RunningNginx, startNginx } from '../support/nginx.ts'
import { runCommand, tryCommand } from '../support/run-command.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type RunningAgent, type System, startSystem } from '../support/start-system.ts'
import { TOLERATED_ANSWERS, type ToleratedAnswer } from './tolerated-answers.ts'

let system: System
let origin: ScriptedOrigin
let agent: RunningAgent
let nginx: RunningNginx | undefined

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start()
  agent = await system.startAgent({ subdomain: 'tolerant', target: origin.port })
  nginx = await startProxy(origin.port)
})

afterAll(async () => {
  await nginx?.stop()
  await system?.stop()
  await origin?.stop()
})

const hasCurl = spawnSync('curl', ['--version']).status === 0
const LISTED = listedDifferences('Local servers')

/** Says it to whoever asks for /odd, and the target to everybody else. `ends`: the connection ends behind it. */
function play(answer: string, ends = false): void {
  origin.play(async ({ head, connection, whole }) => {
    await whole()
    const target = head.startLine.split(' ')[1]!
    if (target === '/odd') ends ? connection.end(answer) : connection.write(answer)
    else connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`)
  })
}

interface Seen {
  readonly exit: number | null
  readonly heads: readonly unknown[]
  readonly body: string
}

/** How a body is framed belongs to one connection, and which of two lines says it is not what the answer means. */
const FRAMING = ['content-length', 'transfer-encoding']

/** nginx as a proxy before the local server, if there is one here. */
async function startProxy(port: number): Promise<RunningNginx | undefined> {
  if (NGINX === undefined) return undefined
  const proxied = `proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://127.0.0.1:${port};`
  return startNginx({ server: `location / { ${proxied} }` })
}

/** Whether a visitor of nginx gets that content. */
async function byNginx({ port }: RunningNginx, { content, version }: ToleratedAnswer): Promise<'takes' | 'refuses'> {
  const client = await HttpClient.open(port)
  client.send(`GET /odd HTTP/${version ?? '1.1'}\r\nHost: a.example\r\nConnection: close\r\n\r\n`)
  await client.connection.over()
  const answer = await client.answer().catch(() => undefined)
  client.close()
  if (answer === undefined || statusOf(answer.response) >= 400) return 'refuses'
  return contentOr(answer.response) === content ? 'takes' : 'refuses'
}

/** What curl makes of the answer: heads by line, without what belongs to one connection, the content, and trailers by line. */
async function byCurl(port: number, { version, content }: ToleratedAnswer): Promise<Seen> {
  const place = ['--resolve', `${agent.host}:${port}:127.0.0.1`, `http://${agent.host}:${port}/odd`]
  const asked = await tryCommand('curl', ['-sS', '-i', `--http${version ?? '1.1'}`, '-m', '20', ...place], {
    deadlineMs: 30_000,
  })
  const text = asked.stdout
  const heads: unknown[] = []
  let at = 0
  for (let match = HEAD.exec(text); match !== null; match = HEAD.exec(text.slice(at))) {
    heads.push(normalised(match[0]))
    at += match[0].length
    if (!/^HTTP\/1\.1 1/.test(match[0])) break
  }
  const body = text.slice(at)
  if (!body.startsWith(content) || body === content) return { exit: asked.code, heads, body }
  const trailers = normalised(`\r\n${body.slice(content.length)}`)
  return { exit: asked.code, heads: [...heads, trailers], body: content }
}

const HEAD = /^HTTP\/[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n/

function normalised(head: string): unknown {
  const [startLine = '', ...lines] = head
    .replaceAll(/\r?\n[ \t]+/g, ' ')
    .replaceAll(/[^\t\r\n -~\x80-\uffff]/g, ' ')
    .split(/\r?\n/)
  const fields = lines.flatMap((line) => {
    const [, name = '', value = ''] = /^([^:\s]*)[ \t]*:[ \t]*(.*?)[ \t]*$/.exec(line) ?? []
    const masked = FRAMING.includes(name.toLowerCase()) || UNDATED_RESPONSE_MASK[name.toLowerCase()] !== undefined
    return line === '' || masked ? [] : [`${name}: ${value.replaceAll(/[ \t]+/g, ' ')}`]
  })
  return { startLine: startLine.trim(), fields }
}

/** Through the tunnel, to a reader that tolerates nothing. */
async function byStrictReader({ answer, version }: ToleratedAnswer) {
  play(answer)
  const client = await HttpClient.open(system.publicPort)
  client.send(`GET /odd HTTP/${version ?? '1.1'}\r\nHost: ${agent.host}\r\n\r\n`)
  const seen = await client.answer()
  // The next answer of the tunnel is its own.
  if (version === undefined)
    expect((await client.ask(`POST /next HTTP/1.1\r\nHost: ${agent.host}\r\n\r\n`)).body.toString()).toBe('/next')
  client.close()
  return seen
}

const isClean = ({ startLine, lines }: Message): boolean =>
  /^HTTP\/1\.1 \d{3} [^\r\n]*$/.test(startLine) && lines.every((line) => /^[^\s:]+: [^\r\n]*$/.test(line))

const contentOr = (message: Message): string => (message.body.length === 0 ? '' : contentOf(message).toString('latin1'))

describe.each([...new Set(TOLERATED_ANSWERS.map(({ kind }) => kind))])('%s', (kind) => {
  const rows = TOLERATED_ANSWERS.filter((row) => row.kind === kind)
  test('there are three cases at least', () => expect(rows.length).toBeGreaterThanOrEqual(3))

  test.each(rows)('$title: visitors get it in clean form, and the next answer is its own', async (row) => {
    const { interim, response } = await byStrictReader(row)
    expect([...interim, response].every(isClean), 'each line in clean form').toBe(true)
    expect(interim.length).toBe(row.interim ?? 0)
    expect(contentOr(response)).toBe(row.content)
    const [odd, next] = origin.requests
    // RFC 9112 §6.3: nothing that was meant for another reader reaches the next visitor.
    if (row.last) expect(next!.connection, 'the connection is not used again').not.toBe(odd!.connection)
  })

  test.for(rows)('$title: curl sees the same directly and through the tunnel', async (row, context) => {
    if (!hasCurl) context.skip('there is no curl here')
    // What curl does not take for the end of the answer is one when the connection ends.
    play(row.answer, true)
    const direct = await byCurl(origin.port, row)
    play(row.answer)
    const tunnelled = await byCurl(system.publicPort, row)
    expect(tunnelled.body).toBe(row.content)
    const check = `${row.kind}: ${row.title}`
    if (!LISTED.has(check)) expect(tunnelled).toEqual(direct)
  })

  test.for(rows)('$title: nginx $nginx it', async (row, context) => {
    if (nginx === undefined) context.skip('there is no nginx here')
    play(row.answer, true)
    expect(await byNginx(nginx!, row)).toBe(row.nginx)
  })
})

test('twelve thousand interim answers reach a visitor by HTTP/2, and then the answer', async () => {
  const count = 12_000
  play(
    `${'HTTP/1.1 102 Processing\r\nX-At: work\r\n\r\n'.repeat(count)}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood`,
  )
  const session = visitByHttp2(system)
  const stream = session.request({ ':authority': agent.host, ':path': '/odd' })
  let interim = 0
  stream.on('headers', () => {
    interim += 1
  })
  expect((await answerOf(stream)).body).toBe('good')
  expect(interim).toBe(count)
  session.close()
})

test('control characters, LF in chunks and folded trailers reach a visitor by HTTP/2 in clean form', async () => {
  const fields = 'Transfer-Encoding: chunked\r\nX-Own: a\x01b\x7f\r\nSet-Cookie: c=\x1bd'
  play(`HTTP/1.1 200 O\x07K\r\n${fields}\r\n\r\n2;\ngo\n2 \nod\n0\nX-Sum : 4\x0b\n 5\n\n`)
  const session = visitByHttp2(system)
  const stream = session.request({ ':authority': agent.host, ':path': '/odd' })
  let trailers: IncomingHttpHeaders = {}
  stream.on('trailers', (sent) => {
    trailers = sent
  })
  const answer = await answerOf(stream)
  expect([answer.body, answer.fields['x-own'], answer.fields['set-cookie'], trailers['x-sum']]).toEqual([
    'good',
    'a b',
    ['c= d'],
    '4  5',
  ])
  session.close()
})

test('a head of 80 KiB reaches a visitor by HTTP/2', async (context) => {
  if (!hasCurl) context.skip('there is no curl here')
  const lines = ['a', 'b', 'c', 'd'].map((name) => `X-${name}: ${name.repeat(20_000)}\r\n`).join('')
  play(`HTTP/1.1 200 OK\r\n${lines}Content-Length: 4\r\n\r\ngood`)
  const got = await runHttp2Curl('/odd')
  expect(got).toMatch(/x-d: d{20000}/)
  expect(got).toMatch(/good$/)
})

const runHttp2Curl = async (path: string): Promise<string> => {
  const place = [
    '--resolve',
    `${agent.host}:${system.publicPort}:127.0.0.1`,
    `http://${agent.host}:${system.publicPort}${path}`,
  ]
  return (await runCommand('curl', ['-sS', '-i', '--http2-prior-knowledge', ...place], { deadlineMs: 30_000 })).stdout
}
