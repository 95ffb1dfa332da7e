/** Visitors who hold on to a connection by doing everything slowly: by slowhttptest where it is installed, otherwise by hand. Knows nothing of tunnels. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'

export const MODES = ['headers', 'body', 'read'] as const
export type Mode = (typeof MODES)[number]

export interface SlowVisit {
  readonly mode: Mode
  readonly port: number
  readonly host: string
  /** A long answer, for those who read slowly. */
  readonly longPath: string
  readonly connections: number
  readonly perSecond: number
  /** From the first connection to the end of the last. */
  readonly seconds: number
}

export interface SlowTally {
  /** Connections that were made. */
  readonly made: number
  /** The most that stood at once. */
  readonly standing: number
  /** Those that did not stand until the end. */
  readonly ended: number
}

export const hasSlowHttpTest = spawnSync('slowhttptest', ['-h']).error === undefined

/** One line or one piece of a body so often. */
const INTERVAL_MS = 1000
const BODY_BYTES = 8192
/** slowhttptest takes its time to close what is left. */
const EXIT_MS = 20_000

export const visitSlowly = (visit: SlowVisit): Promise<SlowTally> =>
  hasSlowHttpTest ? bySlowHttpTest(visit) : byHand(visit)

const OPTIONS: Readonly<Record<Mode, readonly string[]>> = {
  headers: ['-H', '-x', '24'],
  body: ['-B', '-s', String(BODY_BYTES), '-x', '10'],
  read: ['-X', '-w', '10', '-y', '20', '-n', '1', '-z', '5'],
}

/** It takes us for a proxy, and so names the tunnel by an absolute target: the name need not be known to the machine. */
async function bySlowHttpTest(visit: SlowVisit): Promise<SlowTally> {
  const { mode, port, host, longPath, connections, perSecond, seconds } = visit
  const numbers = { c: connections, r: perSecond, i: INTERVAL_MS / 1000, l: seconds, p: 5 }
  const args = [
    ...OPTIONS[mode],
    ...Object.entries(numbers).flatMap(([name, value]) => [`-${name}`, String(value)]),
    ...['-d', `127.0.0.1:${port}`, '-u', `http://${host}${mode === 'read' ? longPath : '/'}`],
  ]
  const child = spawn('slowhttptest', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const output of [child.stdout, child.stderr])
    output.setEncoding('latin1').on('data', (text) => {
      said += text
    })
  const killed = new AbortController()
  void setTimeout(seconds * 1000 + EXIT_MS, undefined, { signal: killed.signal }).then(
    () => child.kill(),
    () => {},
  )
  await once(child, 'close')
  killed.abort()
  const told = (what: string): number[] =>
    [...stripVTControlCharacters(said).matchAll(new RegExp(`^${what}:\\s+(\\d+)`, 'gm'))].map(([, n]) => Number(n))
  const [standing, ended, failed] = [told('connected'), told('closed'), told('error')]
  if (standing.length === 0) throw new Error(`slowhttptest said no counts:\n${said}`)
  const lost = (ended.at(-1) ?? 0) + (failed.at(-1) ?? 0)
  return { made: standing.at(-1)! + lost, standing: Math.max(...standing), ended: lost }
}

async function byHand(visit: SlowVisit): Promise<SlowTally> {
  const over = performance.now() + visit.seconds * 1000
  const open = new Set<Socket>()
  let made = 0
  let standing = 0
  let ended = 0
  for (let asked = 0; asked < visit.connections; asked += 1) {
    const socket = connect({ host: '127.0.0.1', port: visit.port, noDelay: true })
    socket.on('connect', () => {
      made += 1
      open.add(socket)
      standing = Math.max(standing, open.size)
      begin(socket, visit)
    })
    // What was refused, answered or cut; 'close' counts it.
    socket.on('error', () => {})
    socket.on('close', () => {
      if (open.delete(socket)) ended += 1
    })
    await setTimeout(1000 / visit.perSecond)
  }
  while (performance.now() < over) {
    for (const socket of open) goOn(socket, visit.mode)
    await setTimeout(INTERVAL_MS)
  }
  const tally = { made, standing, ended }
  for (const socket of open) socket.destroy()
  return tally
}

function begin(socket: Socket, { mode, host, longPath }: SlowVisit): void {
  if (mode === 'headers') socket.resume().write(`GET / HTTP/1.1\r\nHost: ${host}\r\n`)
  else if (mode === 'body')
    socket.resume().write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`)
  // A socket that nobody listens on is not read.
  else socket.write(`GET ${longPath} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
}

function goOn(socket: Socket, mode: Mode): void {
  if (!socket.writable) return
  if (mode === 'headers') socket.write('X-Slow: er\r\n')
  else if (mode === 'body') socket.write('x=y')
  else socket.read(5)
}
