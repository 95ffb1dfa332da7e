/** Visitors who ask at an even pace by ordinary kept-alive connections, and never twice; what came of each request goes into the history. Knows nothing of tasks or agents. */
import http from 'node:http'
import type { Socket } from 'node:net'
import type { Asked, History } from '../history/history.ts'
import { OWNER_FIELD, ownerOf } from './witness-origin.ts'

export interface LoadOptions {
  readonly port: number
  /** Tunnels, in turn: name and Host. */
  readonly tunnels: readonly { readonly name: string; readonly host: string }[]
  readonly perSecond: number
  /** Clients, each with connections of its own. */
  readonly clients: number
  /** Uniform in [0, 1). */
  random(): number
  readonly history: History
  /** Of a visitor's own port: which task it leads to. */
  entryOf?(clientPort: number): string | undefined
  /** Shares of requests that are POSTs, and that take a while at the local server (up to `slowMs`). */
  readonly posts?: number
  readonly slow?: number
  readonly slowMs?: number
  /** Only on connections of their own: a client that keeps none. */
  readonly freshConnections?: boolean
  /** Beyond this a request counts as hanging. */
  readonly patienceMs?: number
}

export interface VisitorLoad {
  /** Begun, over, and over without having succeeded. */
  readonly tally: { readonly begun: number; readonly over: number; readonly failed: number }
  /** Begins no more, and waits for what is under way. */
  stop(): Promise<void>
}

/** As a browser. */
const CONNECTIONS_PER_CLIENT = 6
const PATIENCE_MS = 30_000
const POST_BYTES = 2000
const MOST_BYTES = 20_000

export function startLoad(options: LoadOptions): VisitorLoad {
  const { perSecond, clients, random, history, posts = 0, slow = 0, slowMs = 0 } = options
  const keepAlive = !options.freshConnections
  const agents = Array.from(
    { length: clients },
    () => new http.Agent({ keepAlive, maxSockets: CONNECTIONS_PER_CLIENT }),
  )
  const tally = { begun: 0, over: 0, failed: 0 }
  const run = `${Date.now().toString(36)}${Math.floor(random() * 1e6).toString(36)}`
  let settled = (): void => undefined

  const ask = (): void => {
    const number = tally.begun
    tally.begun += 1
    const { name, host } = options.tunnels[number % options.tunnels.length]!
    const client = Math.floor(random() * clients)
    const method = random() < posts ? 'POST' : 'GET'
    const ms = random() < slow ? Math.floor(random() * slowMs) : 0
    const bytes = Math.floor(random() * MOST_BYTES)
    const id = `${run}-${number}`
    const begun = performance.now()
    let clientPort: number | undefined
    let over = false
    const end = (outcome: string, owner?: Asked['owner']): void => {
      if (over) return
      over = true
      clearTimeout(patience)
      tally.over += 1
      if (outcome !== 'ok') tally.failed += 1
      const ended = performance.now()
      const entry = clientPort === undefined ? undefined : options.entryOf?.(clientPort)
      history.add({ kind: 'asked', id, method, name, client: String(client), begun, ended, entry, outcome, owner })
      if (tally.over === tally.begun) settled()
    }
    const request = http.request({
      host: '127.0.0.1',
      port: options.port,
      path: `/r/${id}?ms=${ms}&bytes=${bytes}`,
      method,
      headers: { host, ...(method === 'POST' && { 'content-length': POST_BYTES }) },
      agent: agents[client]!,
    })
    const patience = setTimeout(() => {
      end('hung')
      request.destroy()
    }, options.patienceMs ?? PATIENCE_MS)
    request.on('socket', (socket: Socket) => {
      clientPort = socket.localPort
      if (socket.connecting)
        socket.once('connect', () => {
          clientPort = socket.localPort
        })
    })
    request.on('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED' ? 'refused' : 'cut'))
    request.on('response', (response) => {
      const { statusCode, headers } = response
      let length = 0
      let last = ''
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        last = (last + chunk.toString('latin1')).slice(-id.length)
      })
      response.on('error', () => end('cut'))
      response.on('close', () => {
        if (!response.complete) return end('cut')
        if (statusCode !== 200) return end(`${statusCode} ${headers['tunnel-error'] ?? ''}`.trim())
        const whole = length === bytes + id.length && last === id
        end(whole ? 'ok' : 'wrong', ownerOf(headers[OWNER_FIELD]))
      })
    })
    request.end(method === 'POST' ? Buffer.alloc(POST_BYTES, 'p') : undefined)
  }

  // By the clock, not by the ticks of a timer, which come late on a busy machine.
  const start = performance.now()
  const timer = setInterval(() => {
    const due = ((performance.now() - start) * perSecond) / 1000
    while (tally.begun < due) ask()
  }, 5)
  return {
    tally,
    async stop() {
      clearInterval(timer)
      if (tally.over < tally.begun)
        await new Promise<void>((resolve) => {
          settled = resolve
        })
      for (const agent of agents) agent.destroy()
    },
  }
}

/** How often each outcome came. */
export function outcomesOf(asked: readonly Asked[]): Record<string, number> {
  const outcomes: Record<string, number> = {}
  for (const { outcome } of asked) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  return outcomes
}
