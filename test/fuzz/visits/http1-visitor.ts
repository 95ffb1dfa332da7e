/** A visitor by HTTP/1: sends its requests one behind the other, in pieces, and reads, pauses or leaves as was drawn. */
import type { Server } from 'node:net'
import type { SeededRandom } from '../../support/seeded-random.ts'
import { VirtualSocket } from '../../support/virtual-socket.ts'
import type { PlannedVisitor } from './plan.ts'
import { type Over, ResponseReading } from './response-reading.ts'
import type { SeenResponse, Visit, Visitor } from './visitor.ts'

interface VisitorHost {
  readonly random: SeededRandom
  readonly visitors: readonly unknown[]
  note(what: () => string): void
  violated(what: string): void
}

/** Turns that it waits for a 100 before it sends its body all the same (RFC 9110 §10.1.1). */
const EXPECT_TURNS = 6

export class Http1Visitor implements Visitor {
  readonly index: number
  readonly planned: PlannedVisitor
  readonly socket: VirtualSocket
  hasLeft = false
  /** Most bytes that waited in the socket for this visitor. */
  mostWaiting = 0
  readonly #host: VisitorHost
  readonly #reading: ResponseReading
  /** The request that is being sent, and how much of it is. */
  #request = 0
  #sent = 0
  #turns = 0
  #waitedFor100 = 0
  #ended = false
  #finished = false
  #silent = false
  #talked = false
  #deaf = false
  /** It reads no more, and sends nothing. */
  #closed = false
  #over: Over = 'open'
  /** It sends no more of a request once it has a response that is the last. */
  readonly #stopsAtLast: boolean

  constructor(planned: PlannedVisitor, host: VisitorHost, server: Server) {
    this.index = host.visitors.length
    this.planned = planned
    this.#host = host
    this.#reading = new ResponseReading(planned.requests)
    this.#stopsAtLast = host.random.once(2)
    this.socket = new VirtualSocket(planned.capacity, planned.address)
    server.emit('connection', this.socket.asSocket)
  }

  get waiting(): number {
    return this.socket.writableLength
  }

  get over(): boolean {
    return this.#finished || this.#over !== 'open'
  }

  step(hurries = false): boolean {
    const { peer } = this.socket
    this.#turns += 1
    this.mostWaiting = Math.max(this.mostWaiting, this.socket.writableLength)
    if (this.#leavesNow()) return true
    let moved = false
    if (peer.unsettled) {
      peer.settle()
      moved = true
    }
    if (peer.deliverable) {
      peer.deliver(this.#host.random.once(4) ? 1 + this.#host.random.below(20) : undefined)
      moved = true
    }
    const sent = this.#send(hurries)
    return this.#read(hurries) || sent || moved
  }

  /** A kernel that has no such connection any more answers a keep-alive with a reset. */
  keepAlive(): void {
    if (this.#closed) this.socket.peer.reset()
  }

  leave(): void {
    this.#leaveBy(this.#host.random.once(2) ? 'resets' : 'closes')
  }

  visits(): Visit[] {
    const { responses, partial } = this.#reading
    return this.planned.requests.map((request, index) => ({
      request,
      begun: index < this.#request || (index === this.#request && this.#sent > 0),
      sentWhole: index < this.#request && !request.broken,
      behind: index === this.planned.requests.length - 1 ? this.planned.garbage + this.planned.talk : '',
      response: responses[index] ?? (index === responses.length ? this.#seenLast(partial) : undefined),
    }))
  }

  get unasked(): string {
    const answered = this.#reading.responses.length
    return answered > this.planned.requests.length || this.#last ? this.#reading.rest : ''
  }

  describe(): string {
    const { responses, rest } = this.#reading
    return `request ${this.#request} of ${this.planned.requests.length}, ${this.#sent} bytes of it sent, ${responses.length} responses, then ${JSON.stringify(rest.slice(0, 60))}, ${this.#over}`
  }

  #seenLast(partial: SeenResponse | undefined): SeenResponse | undefined {
    if (partial === undefined || partial.ending !== 'open' || this.#over === 'open') return partial
    return { ...partial, ending: 'cut' }
  }

  // ── sending ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #send(hurries: boolean): boolean {
    if (this.#ended || this.#silent || this.#over !== 'open') return false
    const { requests, pipelines, garbage, sendBytes } = this.planned
    const request = requests[this.#request]
    if (request === undefined) {
      if (this.#talk()) return true
      if (garbage === '' || this.#sent > 0) return false
      this.#sent = garbage.length
      this.socket.peer.send(Buffer.from(garbage, 'latin1'))
      return true
    }
    if (this.#last && (this.#sent === 0 || this.#stopsAtLast)) return false
    const answered = this.#reading.responses.length
    if (this.#sent === 0 && !pipelines && answered < this.#request) return false
    if (this.#declined) return false
    const text = request.head + request.wireBody
    const limit = this.#mayOnlySendHead(request) ? request.head.length : text.length
    if (this.#sent >= limit) return this.#sent < text.length && this.#waitedFor100++ < EXPECT_TURNS
    const to = Math.min(limit, this.#sent + (hurries ? Math.max(sendBytes, 500) : sendBytes))
    this.socket.peer.send(Buffer.from(text.slice(this.#sent, to), 'latin1'))
    this.#sent = to
    if (to === text.length) {
      this.#request += 1
      this.#sent = 0
      this.#waitedFor100 = 0
    }
    return true
  }

  /** Once its upgrade is granted. */
  #talk(): boolean {
    if (this.#talked || this.planned.talk === '' || this.#reading.partial?.status !== 101) return false
    this.#talked = true
    this.socket.peer.send(Buffer.from(this.planned.talk, 'latin1'))
    return true
  }

  /** Its request awaits 100, and got a final answer instead: RFC 9110 §10.1.1 lets it keep its body. Behind a 100 it has to send that. */
  get #declined(): boolean {
    const request = this.planned.requests[this.#request]
    if (request === undefined || !request.expect || this.#sent !== request.head.length) return false
    const response = this.#reading.responses[this.#request] ?? this.#reading.partial
    return response !== undefined && !response.interims.includes(100)
  }

  get #last(): boolean {
    return this.#reading.responses.at(-1)?.last === true
  }

  #mayOnlySendHead({ expect }: { expect: boolean }): boolean {
    return expect && !this.#reading.interims.includes(100) && this.#waitedFor100 < EXPECT_TURNS
  }

  // ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #read(hurries: boolean): boolean {
    if (this.#deaf || this.#over !== 'open') return false
    const { peer } = this.socket
    const { readBytes, readsOnceIn } = this.planned
    if (peer.readable === 0 && peer.direction === 'open') return this.#finish()
    if (!hurries && !this.#host.random.once(readsOnceIn)) return true
    const text = peer.take(hurries ? Math.max(readBytes, 500) : readBytes).toString('latin1')
    this.#over = peer.direction
    try {
      this.#reading.read(text, this.#over)
    } catch (error) {
      this.#host.violated(`visitor ${this.index}: ${(error as Error).message}`)
      this.#deaf = true
    }
    if (this.#over !== 'open') this.#end()
    return true
  }

  /** It has what it came for. */
  #finish(): boolean {
    const { requests, garbage } = this.planned
    // RFC 9112 §9.6: a visitor that has a response which is the last closes the connection.
    const has = this.#last
      ? this.#sent === 0 || this.#stopsAtLast || this.#declined
      : this.#reading.responses.length === requests.length
    if (this.#finished || !has || garbage !== '') return false
    this.#finished = true
    this.#end()
    return true
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.socket.peer.end()
  }

  // ── leaving ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #leavesNow(): boolean {
    const { leaving, leavesAfter } = this.planned
    if (leaving === 'never' || this.hasLeft || this.#ended || this.#turns < leavesAfter) return false
    // It has sent all that it wants to, and still reads.
    if (leaving === 'half-closes' && this.#request < this.planned.requests.length) return false
    this.#leaveBy(leaving)
    return true
  }

  #leaveBy(how: PlannedVisitor['leaving']): void {
    this.#host.note(() => `visitor ${this.index} ${how}`)
    switch (how) {
      case 'resets':
        this.#gone()
        return this.socket.peer.reset()
      case 'closes':
        this.#end()
        this.#gone()
        // What still comes for it is answered by a reset.
        if (this.#host.random.once(2)) return this.socket.peer.reset()
        this.#closed = true
        this.#deaf = false
        return
      case 'half-closes':
        return this.#end()
      case 'stops-reading':
        this.hasLeft = true
        this.#deaf = true
        return
      case 'stops-sending':
        this.hasLeft = true
        this.#silent = true
    }
  }

  #gone(): void {
    this.hasLeft = true
    this.#finished = true
    this.#ended = true
  }
}
