/** One stream that another task has opened for a tunnel of this one: judged by its preamble, answered, and joined to the local server. Knows nothing of HTTP. */
import { TunnelFault, toFault } from '@postern/protocol/fault'
import type { RawStream, StreamListener } from '@postern/protocol/mux'
import { pipe } from '../route/byte-pipe.ts'
import { HOP_ANSWER, type HopAnswer, type HopPreamble, readPreamble } from '../route/hop-preamble.ts'
import { Leftover } from '../route/leftover.ts'
import type { Failure, Lease } from '../route/route.ts'
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
  /** The stream is for a tunnel of that tenant. False: the tenant gets no new stream on this channel, because memory is short. */
  admits(stream: RawStream, tenant: string): boolean
  /** Rule of the protocol that the other task broke. */
  violated(fault: TunnelFault): void
}

const ANSWERS = new Map(Object.values(HOP_ANSWER).map((answer) => [answer, Buffer.from([answer])]))

/** Takes the stream; everything further happens by itself. */
export function receiveHop(stream: RawStream, house: HopHouse, desk: HopDesk): void {
  // What waits for the other node is a visitor's, who has not taken it: the local server gets no credit for it.
  stream.awaitEmpty?.()
  stream.listen(new Beginning(stream, house, desk))
}

/** The preamble, and what of the request has come behind it. */
class Beginning implements StreamListener {
  readonly #stream: RawStream
  readonly #house: HopHouse
  readonly #desk: HopDesk
  #bytes: Buffer | undefined

  constructor(stream: RawStream, house: HopHouse, desk: HopDesk) {
    this.#stream = stream
    this.#house = house
    this.#desk = desk
  }

  data(chunk: Buffer): void {
    this.#bytes = this.#bytes === undefined ? chunk : Buffer.concat([this.#bytes, chunk])
    try {
      const read = readPreamble(this.#bytes)
      if (read === undefined) return
      this.#bytes = this.#bytes.subarray(read.length)
      this.#stream.consume(read.length)
      this.#dispatch(read.preamble)
    } catch (error) {
      this.#desk.violated(toFault(error))
    }
  }

  end(): void {
    // Half a preamble is none.
    this.#stream.reset()
  }

  reset(): void {}

  writable(): void {}

  #dispatch(preamble: HopPreamble): void {
    const { routes, fence, draining } = this.#house
    if (fence.closed()) return this.#refuse(HOP_ANSWER.fenced)
    const claimed = routes.ofClaim(preamble.name, preamble.epoch)
    if (claimed === undefined) return this.#refuse(HOP_ANSWER.stale)
    if (draining()) return this.#refuse(HOP_ANSWER.draining)
    const { route, tenant } = claimed
    if (!this.#desk.admits(this.#stream, tenant))
      return this.#giveBackUnsent(new TunnelFault('streams-exhausted', 'the tunnel holds too much memory'))
    const first = this.#bytes
    this.#bytes = undefined
    if (route.gate === undefined) this.#join(preamble, route, first)
    else this.#judge(preamble, route, first)
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

  #judge(preamble: HopPreamble, route: TunnelRoute, first: Buffer | undefined): void {
    this.#answer(HOP_ANSWER.judged)
    const listener = this.#house.judge(this.#stream, preamble, route, (failure) => this.#giveBack(failure))
    this.#stream.listen(listener)
    if (first !== undefined && first.length > 0) listener.data(first)
  }

  #join(preamble: HopPreamble, route: TunnelRoute, first: Buffer | undefined): void {
    let lease: Lease
    try {
      // The stream is the connection to the local server from now on, so that one must be nobody else's before.
      lease = route.lease('fresh', preamble)
    } catch (error) {
      return this.#giveBackUnsent(toFault(error))
    }
    this.#answer(HOP_ANSWER.taken)
    const { fence } = this.#house
    let stopWaiting = (): void => {}
    const forget = route.whenRetired(() => this.#desk.withdrawn(preamble))
    const over = (): void => {
      forget()
      stopWaiting()
    }
    const [hop] = pipe(
      this.#stream,
      {
        // What lay in the socket while this process stood still is not for a tunnel that may have moved meanwhile.
        mayPass: () => {
          if (!fence.closed()) return true
          stopWaiting = fence.whenLifted(() => hop.resume())
          return false
        },
        over,
        broken: () => {
          over()
          lease.stream.reset()
        },
      },
      lease.stream,
      {
        over,
        broken: (_end, why) => {
          over()
          this.#giveBack(lease.failure() ?? failureBy(why))
        },
      },
    )
    if (first !== undefined && first.length > 0) hop.data(first)
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
