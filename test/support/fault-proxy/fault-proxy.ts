/** A TCP proxy whose paths have faults, each direction its own. Knows nothing of what passes, nor of any fault. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { resetSocket } from '@postern/protocol/socket'
import type { Fault, Path } from './fault.ts'

export interface Faults {
  /** From whoever connected; in the order in which the bytes meet them. */
  readonly toServer?: readonly Fault[]
  readonly toClient?: readonly Fault[]
}

const NOTHING = Buffer.alloc(0)

export class FaultProxy {
  /** On 127.0.0.1. */
  readonly port: number
  readonly #server: Server
  readonly #target: () => number
  readonly #paths = new Set<Path>()
  #faults: Faults

  private constructor(server: Server, target: () => number, faults: Faults) {
    this.#server = server
    this.#target = target
    this.#faults = faults
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (client: Socket) => this.#join(client))
  }

  /** In front of what listens on 127.0.0.1:`target`; a function is asked at each connection. */
  static async start(target: number | (() => number), faults: Faults = {}): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new FaultProxy(server, typeof target === 'number' ? () => target : target, faults)
  }

  /** For connections from now on; those that stand keep theirs. */
  use(faults: Faults): void {
    this.#faults = faults
  }

  /** Connections that stand. */
  get connections(): number {
    return this.#paths.size
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const path of this.#paths) path.reset()
    await closed
  }

  #join(client: Socket): void {
    const server = connect({ host: '127.0.0.1', port: this.#target(), allowHalfOpen: true, noDelay: true })
    const ends = [client, server]
    const chains: Duplex[] = []
    const path: Path = {
      close: () => {
        for (const end of ends) end.destroySoon()
      },
      reset: () => {
        for (const end of ends) resetSocket(end)
      },
    }
    this.#paths.add(path)
    const { toServer = [], toClient = [] } = this.#faults
    pass(client, server, path, toServer, chains)
    pass(server, client, path, toClient, chains)
    for (const end of ends)
      end.on('close', () => {
        if (!ends.every(({ destroyed }) => destroyed)) return
        for (const piece of chains) piece.destroy()
        this.#paths.delete(path)
      })
  }
}

function pass(from: Socket, to: Socket, path: Path, faults: readonly Fault[], chains: Duplex[]): void {
  const pieces = faults.map((fault) => fault(path))
  chains.push(...pieces)
  let last: Socket | Duplex = from
  // The end is passed on below: a reset must not look like one.
  for (const piece of [...pieces, to]) last = last.pipe(piece, { end: last !== from })
  const first = pieces[0] ?? to
  from.on('end', () => {
    // Node 20 can report a reset as an end; the system says so at the next write, and one of no bytes is not sent.
    if (!from.writable) first.end()
    else from.write(NOTHING, (error) => (error ? path.reset() : first.end()))
  })
  from.on('error', () => path.reset())
  from.on('close', () => {
    if (!from.readableEnded) to.destroy()
  })
}
