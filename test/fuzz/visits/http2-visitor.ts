/** A visitor by HTTP/2: node's client; its requests go side by side. */
import { once } from 'node:events'
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import { resetSocket } from '@postern/protocol/socket'
import type { SeededRandom } from '../../support/seeded-random.ts'
import type { PlannedRequest, PlannedVisitor } from './plan.ts'
import type { SeenResponse, Visit, Visitor } from './visitor.ts'

interface VisitorHost {
  readonly random: SeededRandom
  readonly visitors: readonly unknown[]
  note(what: () => string): void
}

/** Makes connections of its own, since `node:http2` writes to the handle of a socket, which no stream can stand for. One for a process. */
class Acceptor {
  readonly #server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true })
  #listening: Promise<unknown> | undefined

  /** Both ends of a connection: the visitor's, and the one that the listener gets. */
  async connect(): Promise<[far: Socket, near: Socket]> {
    if (this.#listening === undefined) {
      this.#listening = once(this.#server.listen(0, '127.0.0.1').unref(), 'listening')
    }
    await this.#listening
    const accepted = once(this.#server, 'connection') as Promise<[Socket]>
    const far = net.connect({ port: (this.#server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true })
    const [[near]] = await Promise.all([accepted, once(far, 'connect')])
    return [far, near]
  }
}

const acceptor = new Acceptor()

class Request {
  readonly planned: PlannedRequest
  readonly stream: ClientHttp2Stream
  sent = 0
  sentWhole: boolean
  closed = false
  /** Its visitor has left before it was over, and looks no more. */
  left = false
  /** Something came since it was asked last. */
  #came = false
  readonly #interims: number[] = []
  #fields: IncomingHttpHeaders | undefined
  #body = ''
  #ended = false
  #continued = false
  #waits: number

  constructor(session: ClientHttp2Session, planned: PlannedRequest) {
    this.planned = planned
    const { method, id, framing, body, expect, signsIn } = planned
    this.sentWhole = framing === 'none'
    this.#waits = expect ? 6 : 0
    this.stream = session.request(
      {
        ':method': method,
        ':path': `/${id}`,
        ':scheme': 'https',
        ':authority': 'demo.example.com',
        ...(framing === 'length' && { 'content-length': String(body.length) }),
        ...(expect && { expect: '100-continue' }),
        ...(signsIn && { authorization: 'NTLM abc' }),
      },
      // Without trailers in prospect node:http2 would say END_STREAM before a reset.
      { endStream: this.sentWhole, waitForTrailers: !this.sentWhole },
    )
    this.stream.on('error', () => {})
    this.stream.on('wantTrailers', () => {
      if (this.sentWhole && !this.stream.closed) this.stream.sendTrailers({})
    })
    this.stream.on('headers', (fields) => this.#interims.push(Number(fields[':status'])))
    this.stream.on('continue', () => {
      this.#continued = true
    })
    this.stream.on('response', (fields) => {
      this.#came = true
      this.#fields = fields
    })
    this.stream.on('data', () => {
      this.#came = true
    })
    // 'end' would also tell of a connection that broke behind GOAWAY, as of a response that is whole.
    const push = this.stream.push.bind(this.stream)
    this.stream.push = (chunk, encoding) => {
      if (chunk === null) this.#ended ||= !this.stream.destroyed && this.stream.rstCode === 0
      // A visitor that stops reading has got it all the same.
      else this.#body += chunk.toString('latin1')
      return push(chunk, encoding)
    }
    this.stream.on('close', () => {
      this.#came = true
      this.closed = true
    })
  }

  get moved(): boolean {
    const came = this.#came
    this.#came = false
    return came
  }

  /** Sends a piece of the body. True: it has done something. */
  send(most: number): boolean {
    if (this.sentWhole || this.closed) return false
    if (!this.#continued && this.#waits > 0) {
      this.#waits -= 1
      return true
    }
    const { body } = this.planned
    if (this.stream.writableLength > 0 || this.stream.writableEnded) return false
    const to = Math.min(body.length, this.sent + most)
    const piece = Buffer.from(body.slice(this.sent, to), 'latin1')
    this.sent = to
    this.sentWhole = to === body.length
    if (this.sentWhole) this.stream.end(piece)
    else this.stream.write(piece)
    return true
  }

  get response(): SeenResponse | undefined {
    const fields = this.#fields
    if (fields === undefined) return undefined
    if (this.left) return undefined
    const whole = this.#ended && this.stream.rstCode === 0 && !this.stream.aborted
    const names = Object.entries(fields).map(([name, value]) => [name, String(value)] as const)
    return {
      status: Number(fields[':status']),
      head: { start: '', fields: new Map(names) },
      interims: this.#continued ? [100, ...this.#interims] : this.#interims,
      body: this.#body,
      ending: whole && this.closed ? 'whole' : this.closed ? 'cut' : 'open',
      last: false,
    }
  }
}

export class Http2Visitor implements Visitor {
  readonly index: number
  readonly planned: PlannedVisitor
  readonly unasked = ''
  /** The session's own, which says nothing of it. */
  readonly mostWaiting = 0
  readonly waiting = 0
  hasLeft = false
  readonly #host: VisitorHost
  readonly #server: Server
  readonly #requests: Request[] = []
  #socket!: Socket
  #session!: ClientHttp2Session
  #turns = 0
  #silent = false
  #deaf = false
  #finished = false

  constructor(planned: PlannedVisitor, host: VisitorHost, server: Server) {
    this.index = host.visitors.length
    this.planned = planned
    this.#host = host
    this.#server = server
  }

  /** To be awaited before anything else. */
  async connect(): Promise<void> {
    const [far, near] = await acceptor.connect()
    this.#socket = far
    const { capacity } = this.planned
    this.#session = http2.connect('http://demo.example.com', {
      createConnection: () => far,
      settings: { initialWindowSize: capacity, enablePush: false },
    })
    this.#session.on('error', () => {})
    this.#server.emit('connection', near)
  }

  get over(): boolean {
    return this.#finished || this.#session.destroyed
  }

  step(hurries = false): boolean {
    const { readsOnceIn, sendBytes } = this.planned
    this.#turns += 1
    if (this.#leavesNow()) return true
    if (!this.#deaf)
      for (const { stream } of this.#requests)
        stream[hurries || this.#host.random.once(readsOnceIn) ? 'resume' : 'pause']()
    if (this.#silent) return false
    let moved = this.#open()
    for (const request of this.#requests) moved = request.send(hurries ? Math.max(sendBytes, 500) : sendBytes) || moved
    return this.#finish() || moved || this.#requests.some((request) => request.moved)
  }

  leave(): void {
    this.#lookNoMore()
    if (this.#host.random.once(2)) resetSocket(this.#socket)
    this.#session.destroy()
    this.#finished = true
    this.hasLeft = true
  }

  visits(): Visit[] {
    return this.planned.requests.map((request, index) => {
      const made = this.#requests[index]
      return {
        request,
        begun: made !== undefined,
        sentWhole: made?.sentWhole === true,
        behind: '',
        response: made?.response,
      }
    })
  }

  describe(): string {
    const states = this.#requests.map(
      ({ planned, sent, response, stream }) =>
        `/${planned.id} ${sent} ${response?.status} ${response?.ending} ${stream.rstCode}`,
    )
    return `${this.#requests.length} of ${this.planned.requests.length} requests: ${states.join(', ')}`
  }

  #lookNoMore(): void {
    for (const request of this.#requests) request.left ||= !request.closed
  }

  /** Side by side, or one after the other. */
  #open(): boolean {
    const next = this.planned.requests[this.#requests.length]
    if (next === undefined || this.#session.closed || this.#session.destroyed) return false
    if (!this.planned.pipelines && this.#requests.some(({ closed }) => !closed)) return false
    this.#requests.push(new Request(this.#session, next))
    return true
  }

  #finish(): boolean {
    const done = this.#requests.length === this.planned.requests.length && this.#requests.every(({ closed }) => closed)
    if (this.#finished || !done) return false
    this.#finished = true
    this.#session.close()
    return true
  }

  #leavesNow(): boolean {
    const { leaving, leavesAfter } = this.planned
    if (leaving === 'never' || this.hasLeft || this.#finished || this.#turns < leavesAfter) return false
    this.#host.note(() => `visitor ${this.index} ${leaving}`)
    this.hasLeft = true
    switch (leaving) {
      case 'resets':
        this.#lookNoMore()
        resetSocket(this.#socket)
        this.#session.destroy()
        break
      case 'closes':
        this.#lookNoMore()
        this.#session.destroy()
        break
      case 'half-closes':
        // Of one of its requests: there is no half of a connection in HTTP/2.
        this.#requests.at(-1)?.stream.close(http2.constants.NGHTTP2_CANCEL)
        break
      case 'stops-reading':
        this.#deaf = true
        for (const { stream } of this.#requests) stream.pause()
        break
      case 'stops-sending':
        this.#silent = true
    }
    return true
  }
}
