/** One stream that another task has opened for a tunnel of this one: judged by its preamble, answered, and joined to the local server. Knows nothing of HTTP. */
import { addressKey } from '@postern/protocol/address'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { STREAM_WAIT_MS } from '@postern/protocol/limits'
import type { RawStream, StreamListener } from '@postern/protocol/mux'
import { ByteQueue } from '@postern/protocol/socket'
import { pipe } from '../route/byte-pipe.ts'
import { evictFor } from '../route/eviction.ts'
import { HOP_ANSWER, type HopAnswer, type HopPreamble, readPreamble } from '../route/hop-preamble.ts'
import { Leftover } from '../route/leftover.ts'
import type { Failure, Lease } from '../route/route.ts'
import type { RouteUser } from '../route/route-users.ts'
import type { QueuedRequest } from '../route/stream-queue.ts'
import type { TunnelRoute } from '../route/tunnel-route.ts'
import type { Fence } from './fence.ts'

/** What a hop asks of the task that it came to. */
export interface HopHouse {
  /** Routes of this task's own channels, and no others: whatever comes by a hop goes no further. */
  readonly routes: {
    ofClaim(name: HopPreamble['name'], epoch: number): { route: TunnelRoute; tenant: string } | undefined
  }
  readonly fence: Pick<Fence, 'closed' | 'whenLifted'>
  /** Whether this task stops, and takes nothing more. */
  draining(): boolean
  /** Monotonic milliseconds. */
  now(): number
  /** A request for a tunnel with rules: judged, and passed on, over `stream`. `returned` is called instead of a reset, at most once. */
  judge(
    stream: RawStream,
    preamble: HopPreamble,
    route: TunnelRoute,
    returned: (failure: Failure) => void,
  ): StreamListener
}

/** What it asks of the channel that it came by. */
export interface HopDesk {
  /** Said before the stream is reset. */
  returned(streamId: number, failure: Failure): void
  withdrawn(preamble: HopPreamble): void
  /** Assigns the stream to that tenant. False: memory is short, and the tenant gets no new stream on this channel. */
  admits(stream: RawStream, tenant: string): boolean
  /** Rule of the protocol that the other task broke. */
  violated(fault: TunnelFault): void
}

const NOTHING = Buffer.alloc(0)
const ANSWERS = new Map(Object.values(HOP_ANSWER).map((answer) => [answer, Buffer.from([answer])]))

/** Takes the stream; everything further happens by itself. */
export function receiveHop(stream: RawStream, house: HopHouse, desk: HopDesk): void {
  // What waits for the other node is a visitor's, who has not taken it: the local server gets no credit for it.
  stream.awaitEmpty?.()
  stream.listen(new Beginning(stream, house, desk))
}

/** The preamble, and what of the request has come behind it; with it the request waits for a stream of the tunnel, where that has none. */
class Beginning implements StreamListener, QueuedRequest {
  addressKey = ''
  readonly #stream: RawStream
  readonly #house: HopHouse
  readonly #desk: HopDesk
  /** A part of the preamble; then what came in one piece with its end. */
  #bytes: Buffer | undefined
  /** What has come since. While the request waits, that is no more than the stream's window, in pieces of any size. */
  #since: ByteQueue | undefined
  #preamble: HopPreamble | undefined
  /** Nothing more comes of the request. */
  #ended = false
  /** While it waits: leaves the queue. */
  #leave: (() => void) | undefined
  #waitsSince: number | undefined
  #deadline: NodeJS.Timeout | undefined

  constructor(stream: RawStream, house: HopHouse, desk: HopDesk) {
    this.#stream = stream
    this.#house = house
    this.#desk = desk
  }

  data(chunk: Buffer): void {
    if (this.#preamble !== undefined) {
      this.#since ??= new ByteQueue()
      return this.#since.append(chunk)
    }
    this.#bytes = this.#bytes === undefined ? chunk : Buffer.concat([this.#bytes, chunk])
    let read: ReturnType<typeof readPreamble>
    try {
      read = readPreamble(this.#bytes)
    } catch (error) {
      return this.#desk.violated(toFault(error))
    }
    if (read === undefined) return
    this.#bytes = this.#bytes.subarray(read.length)
    this.#stream.consume(read.length)
    this.#preamble = read.preamble
    if (read.preamble.notice !== undefined) return this.#passNotice(read.preamble, read.preamble.notice)
    this.addressKey = addressKey(read.preamble.visitorAddress, 'observed')
    // What throws here is no fault of the peer: it ends this stream.
    this.#dispatch(read.preamble)
  }

  end(): void {
    this.#ended = true
    // Half a preamble is none.
    if (this.#preamble === undefined) this.#stream.reset()
  }

  reset(): void {
    this.#stopWaiting()
  }

  writable(): void {}

  // ── while it waits ────────────────────────────────────────────────────────────────────────────────────────────────

  /** The tunnel may have moved meanwhile, or this task have begun to stop: it is dispatched anew. */
  retry(): void {
    this.#leave = undefined
    try {
      this.#dispatch(this.#preamble!)
    } catch (error) {
      this.#giveBackUnsent(toFault(error))
    }
    if (this.#leave === undefined) this.#stopWaiting()
  }

  displaced(): void {
    this.#stopWaiting()
    this.#giveBackUnsent(new TunnelFault('streams-exhausted'))
  }

  /** False if it may not. */
  #wait({ queue }: TunnelRoute): boolean {
    this.#leave = queue.enter(this)
    if (this.#leave === undefined) return false
    this.#waitsSince ??= this.#house.now()
    this.#deadline ??= setTimeout(() => this.displaced(), STREAM_WAIT_MS)
    return true
  }

  #stopWaiting(): void {
    this.#leave?.()
    this.#leave = undefined
    clearTimeout(this.#deadline)
  }

  // ── what becomes of it ────────────────────────────────────────────────────────────────────────────────────────────

  /** A notice for a channel that has left is dropped. */
  #passNotice({ name, epoch }: HopPreamble, { about, detail }: NonNullable<HopPreamble['notice']>): void {
    this.#house.routes.ofClaim(name, epoch)?.route.notify?.(about, detail)
    this.#stream.end()
  }

  #dispatch(preamble: HopPreamble): void {
    const { routes, fence, draining } = this.#house
    if (fence.closed()) return this.#refuse(HOP_ANSWER.fenced)
    const claimed = routes.ofClaim(preamble.name, preamble.epoch)
    if (claimed === undefined) return this.#refuse(HOP_ANSWER.stale)
    if (draining()) return this.#refuse(HOP_ANSWER.draining)
    const { route, tenant } = claimed
    if (!this.#desk.admits(this.#stream, tenant))
      return this.#giveBackUnsent(new TunnelFault('streams-exhausted', 'the tunnel holds too much memory'))
    // What only this node knows of the tunnel, it keeps.
    if (route.gate === undefined && route.firstByteMs === undefined) this.#join(preamble, route)
    else this.#judge(preamble, route)
  }

  /** What has come behind the preamble goes on to `listener`. */
  #passTo(listener: StreamListener): void {
    const bytes = this.#bytes
    const since = this.#since?.takePieces() ?? []
    this.#bytes = undefined
    this.#since = undefined
    if (bytes !== undefined && bytes.length > 0) listener.data(bytes)
    for (const piece of since) listener.data(piece)
    if (this.#ended) listener.end()
  }

  #refuse(answer: HopAnswer): void {
    this.#answer(answer)
    this.#stream.end()
    // What was sent ahead of a refusal; the other task has kept it.
    this.#stream.listen(new Leftover(this.#stream))
  }

  #answer(answer: HopAnswer): void {
    this.#stream.write(ANSWERS.get(answer)!)
  }

  #judge(preamble: HopPreamble, route: TunnelRoute): void {
    this.#answer(HOP_ANSWER.judged)
    const listener = this.#house.judge(this.#stream, preamble, route, (failure) => this.#giveBack(failure))
    this.#stream.listen(listener)
    this.#passTo(listener)
  }

  #join(preamble: HopPreamble, route: TunnelRoute): void {
    let lease: Lease
    try {
      lease = this.#lease(preamble, route)
    } catch (error) {
      const fault = toFault(error)
      if (fault.code !== 'streams-exhausted' || !this.#wait(route)) this.#giveBackUnsent(fault)
      return
    }
    this.#answer(HOP_ANSWER.taken)
    const { fence, now } = this.#house
    let movedAt = now()
    let stopWaiting = (): void => {}
    const forget = route.whenRetired(() => this.#desk.withdrawn(preamble))
    const user: RouteUser = {
      place: -1,
      addressKey: this.addressKey,
      // The other task sends requests of other visitors by it as well: how long it is open says nothing of the one that has it now.
      streamAge: 0,
      slowFor: 0,
      get idleFor() {
        return now() - movedAt
      },
      evict: (fault) => {
        over()
        lease.reset()
        this.#giveBack({ fault, unsent: false, next: 'nowhere' })
      },
      // The other task ends what is under way.
      terminate: () => {},
    }
    route.users.add(user)
    const over = (): void => {
      route.users.delete(user)
      forget()
      stopWaiting()
    }
    const [hop] = pipe(
      this.#stream,
      {
        // What lay in the socket while this process stood still is not for a tunnel that may have moved meanwhile.
        mayPass: () => {
          movedAt = now()
          if (!fence.closed()) return true
          stopWaiting = fence.whenLifted(() => hop.resume())
          return false
        },
        over: () => {
          over()
          // The local server has ended first, and may still be reading.
          lease.leave(true)
        },
        broken: () => {
          over()
          lease.reset()
        },
      },
      lease.stream,
      {
        mayPass: () => {
          movedAt = now()
          lease.answered?.()
          return true
        },
        over: () => {
          over()
          lease.leave()
        },
        broken: ({ ended }, why) => {
          over()
          const failure = lease.failure() ?? failureBy(why)
          lease.reset()
          // Behind an end nothing can be written, and a reset goes behind it by itself.
          if (ended) this.#giveBack(failure)
          else this.#behindSent(() => this.#giveBack(failure))
        },
      },
    )
    this.#passTo(hop)
  }

  /** The stream is the connection to the local server from now on, so that one must be nobody else's before. @throws TunnelFault as `Route.lease` */
  #lease(preamble: HopPreamble, route: TunnelRoute): Lease {
    try {
      return route.lease('fresh', preamble)
    } catch (error) {
      const waitedMs = this.#waitsSince === undefined ? 0 : this.#house.now() - this.#waitsSince
      const { addressKey } = this
      if (toFault(error).code !== 'streams-exhausted' || !evictFor(route.users, { addressKey, waitedMs })) throw error
      return route.lease('fresh', preamble)
    }
  }

  /** The stream's reset would overtake what the local server had answered before. */
  #behindSent(reset: () => void): void {
    const stream = this.#stream
    if (stream.write(NOTHING)) return reset()
    stream.listen({ data: ({ length }) => stream.consume(length), end() {}, reset() {}, writable: reset })
  }

  #giveBackUnsent(fault: TunnelFault): void {
    this.#answer(HOP_ANSWER.taken)
    this.#giveBack({ fault, unsent: true, next: isChannelsEnd(fault) ? 'elsewhere' : 'nowhere' })
  }

  #giveBack(failure: Failure): void {
    this.#desk.returned(this.#stream.id, failure)
    this.#stream.reset()
  }
}

const isChannelsEnd = ({ code }: TunnelFault): boolean => code === 'channel-lost' || code === 'channel-closed'

/** Without a word from the agent: its channel has ended, or the local server has hung up. */
function failureBy(why: TunnelFault): Failure {
  if (isChannelsEnd(why)) return { fault: why, unsent: false, next: 'elsewhere' }
  return { fault: why.code === 'stream-reset' ? new TunnelFault('origin-closed') : why, unsent: false }
}
