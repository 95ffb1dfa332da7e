/** For the tests of the opening: a server end with tickets in memory, on real sockets. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import type tls from 'node:tls'
import { TunnelFault } from '../../fault.ts'
import {
  type AcceptedOpening,
  type AcceptOptions,
  acceptOpening,
  type OpenableTicket,
  type OpeningHost,
} from '../opening.ts'

export interface RigTicket extends OpenableTicket {
  readonly workerId: string
  readonly encryptionKeyText: string
}

export type Outcome = { accepted: AcceptedOpening<RigTicket> } | { refused: TunnelFault }

/** One task: a listener whose every connection is an opening, and the tickets it knows. */
export class OpeningRig implements OpeningHost<RigTicket> {
  readonly taskId = 'task-1'
  readonly tickets = new Map<string, RigTicket>()
  readonly consumed: string[] = []
  /** Called before each answer of the store, to delay or fail it. */
  beforeFind: (workerId: string) => Promise<void> = async () => {}
  beforeConsume: (workerId: string) => Promise<void> = async () => {}
  refusing: TunnelFault | undefined
  readonly sockets = new Set<net.Socket>()
  /** Connections accepted so far. */
  connections = 0
  readonly #server: net.Server
  readonly #outcomes: Outcome[] = []
  readonly #waiting: ((outcome: Outcome) => void)[] = []

  constructor(options: Partial<AcceptOptions> = {}, serverOptions: net.ServerOpts = {}) {
    this.#server = net.createServer({ noDelay: true, ...serverOptions }, (raw) => {
      this.connections += 1
      this.sockets.add(raw)
      raw.once('close', () => this.sockets.delete(raw))
      acceptOpening(raw, this, { proxyProtocol: 'off', ...options }).then(
        (accepted) => this.#settle({ accepted }),
        (refused: TunnelFault) => this.#settle({ refused }),
      )
    })
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this.port
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  /** A new ticket for 127.0.0.1, unless told otherwise. */
  issue(change: Partial<RigTicket> = {}): RigTicket {
    const encryptionKey = randomBytes(32)
    const ticket: RigTicket = {
      workerId: randomBytes(18).toString('base64url'),
      encryptionKey,
      encryptionKeyText: encryptionKey.toString('hex'),
      expiresAt: Date.now() + 60_000,
      allowedIps: new Set(['127.0.0.1']),
      ...change,
    }
    this.tickets.set(ticket.workerId, ticket)
    return ticket
  }

  /** The next outcome that nobody has asked for yet. */
  outcome(): Promise<Outcome> {
    const had = this.#outcomes.shift()
    return had ? Promise.resolve(had) : new Promise((resolve) => this.#waiting.push(resolve))
  }

  async accepted(): Promise<AcceptedOpening<RigTicket>> {
    const outcome = await this.outcome()
    if ('refused' in outcome) throw outcome.refused
    return outcome.accepted
  }

  async refused(): Promise<TunnelFault> {
    const outcome = await this.outcome()
    if ('accepted' in outcome) throw new Error('the opening was accepted')
    return outcome.refused
  }

  refusal(): TunnelFault | undefined {
    return this.refusing
  }

  async find(workerId: string): Promise<RigTicket | undefined> {
    await this.beforeFind(workerId)
    return this.tickets.get(workerId)
  }

  addressKey(ip: string): string {
    return ip
  }

  observe(_workerId: string, seenIp: string): string {
    return `observed ${seenIp}`
  }

  async consume(workerId: string): Promise<void> {
    await this.beforeConsume(workerId)
    if (!this.tickets.delete(workerId)) throw new TunnelFault('ticket-refused')
    this.consumed.push(workerId)
  }

  now(): number {
    return Date.now()
  }

  #settle(outcome: Outcome): void {
    const waiting = this.#waiting.shift()
    if (waiting) waiting(outcome)
    else this.#outcomes.push(outcome)
  }
}

/** A path between the two ends: everything passes, is recorded, and can be changed or cut. */
export class Relay {
  readonly toServer: Buffer[] = []
  readonly toAgent: Buffer[] = []
  /** Changes what passes from now on. */
  change: (chunk: Buffer, to: 'server' | 'agent') => Buffer = (chunk) => chunk
  readonly #sockets: net.Socket[] = []
  readonly #server: net.Server

  constructor(target: number) {
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
      const far = net.connect({ port: target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
      this.#pass(near, far, 'server')
      this.#pass(far, near, 'agent')
    })
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as net.AddressInfo).port
  }

  /** Ends both connections by FIN or by RST. */
  cut(how: 'fin' | 'rst'): void {
    for (const socket of this.#sockets) {
      if (how === 'fin') socket.end()
      else socket.resetAndDestroy()
    }
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }

  #pass(from: net.Socket, to: net.Socket, towards: 'server' | 'agent'): void {
    this.#sockets.push(from)
    from.on('error', () => {})
    from.on('end', () => to.end())
    from.on('data', (chunk: Buffer) => {
      const passed = this.change(chunk, towards)
      const record = towards === 'server' ? this.toServer : this.toAgent
      record.push(passed)
      to.write(passed)
    })
  }
}

/** One turn of the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A connected socket. */
export async function dial(port: number, from = '127.0.0.1'): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true })
  await once(socket, 'connect')
  return socket
}

/** All that came until the end. */
export async function readAll(socket: net.Socket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

/** The next bytes of a secured socket, as text. */
export async function readSome(socket: tls.TLSSocket): Promise<string> {
  const [chunk] = await once(socket, 'data')
  return String(chunk)
}
