/** One case: the nodes, their channels and visitors, and chance, which decides whose turn it is. */
import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { CookieFence, type RequestHead } from '@postern/protocol/http'
import { SWEEP_MS, TCP_KEEPALIVE_MS } from '@postern/protocol/limits'
import type { HopHouse } from '../../../data-plane/src/cluster/incoming-hop.ts'
import { Sought } from '../../../data-plane/src/dispatch/sought.ts'
import { Away, WaitingRoom } from '../../../data-plane/src/dispatch/waiting-room.ts'
import { PeerStream, type PeerStreamContext } from '../../../data-plane/src/inbound/peer-stream.ts'
import { PublicListener } from '../../../data-plane/src/inbound/public-listener.ts'
import { VisitorCeilings } from '../../../data-plane/src/inbound/visitor-ceilings.ts'
import type { ProxyContext } from '../../../data-plane/src/proxy/proxy-context.ts'
import { RequestIds } from '../../../data-plane/src/proxy/request-ids.ts'
import type { RequestEnd } from '../../../data-plane/src/proxy/request-record.ts'
import type { Route } from '../../../data-plane/src/route/route.ts'
import type { Verdict, VisitorGate } from '../../../data-plane/src/route/visitor-gate.ts'
import { SeededRandom } from '../../support/seeded-random.ts'
import { makeAnswer } from './answer.ts'
import { Channel, type ChannelHost } from './channel.ts'
import { CaseClock } from './clock.ts'
import { CountedSweeper, LeaseBook } from './counted-parts.ts'
import { HopWay } from './hop-way.ts'
import { Http1Visitor } from './http1-visitor.ts'
import { Http2Visitor } from './http2-visitor.ts'
import { judge } from './judge.ts'
import type { Attempt, LocalServer } from './local-server.ts'
import { makePlan, type Plan, type PlannedRequest } from './plan.ts'
import type { VirtualStream } from './virtual-stream.ts'
import type { Visitor } from './visitor.ts'
import type { HeadRead } from './wire.ts'

/** A request's record, as it was when it was over. */
export interface NotedRecord {
  readonly id: string
  readonly path: string | undefined
  readonly status: number
  readonly end: RequestEnd
  readonly fault: string | undefined
  readonly retries: number
}

export interface CaseResult {
  readonly plan: Plan
  readonly findings: readonly string[]
  readonly notes: readonly string[]
  readonly counts: Readonly<Record<string, number>>
}

/** While nothing happens: so many turns until nothing will. */
const IDLE_TURNS = { http1: 2, peer: 3, http2: 12 } as const
/** A body may go byte by byte, since what is read of the smallest window is credited at once. */
const MOST_TURNS = 40_000
/** How far the clock moves, one after the other, until everything has ended by its deadlines. */
const WAITS = [
  1000, 1000, 3000, 12_000, 12_000, 65_000, 80_000, 80_000, 620_000, 620_000, 3000, 3000, 80_000, 80_000, 3000, 3000,
]

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export class VisitCase implements ChannelHost {
  readonly plan: Plan
  readonly random: SeededRandom
  readonly clock = new CaseClock()
  readonly book: LeaseBook
  readonly findings: string[] = []
  readonly notes: string[] = []
  readonly records: NotedRecord[] = []
  readonly attempts: Attempt[] = []
  readonly visitors: Visitor[] = []
  /** What has happened that a fault may be explained by. */
  readonly happened = new Set<string>()
  readonly requests: PlannedRequest[]
  begun = 0
  readonly #listener: PublicListener
  readonly #sweeper: CountedSweeper
  readonly #peerSweeper: CountedSweeper
  readonly #room: WaitingRoom
  readonly #gate: VisitorGate | undefined
  readonly #streams: VirtualStream[] = []
  readonly #channels: Channel[] = []
  #channel: Channel | undefined
  #epoch = 0
  readonly #hop: HopWay | undefined
  readonly #backs = new Set<(route: Route) => void>()
  /** Lookups and verdicts that are under way. */
  readonly #pending: (() => void)[] = []
  #fenced = false
  readonly #lifts = new Set<() => void>()
  #drained: Promise<void> | undefined
  #lookupsLeft: number
  #left: { replaced: number; lost: number; stale: number; ends: boolean }
  #streamIds = 0
  #peerDraining = false
  readonly #verbose: boolean

  constructor(seed: number, verbose = false) {
    this.#verbose = verbose
    this.random = new SeededRandom(seed)
    this.plan = makePlan(this.random)
    const { plan } = this
    this.requests = plan.visitors.flatMap(({ requests }) => requests)
    this.#lookupsLeft = plan.lookups
    this.#left = { ...plan, ends: plan.ends !== 'never' }
    this.book = new LeaseBook(this.violated)
    const { now, after } = this.clock
    const crashed = (error: unknown): void => this.violated(`crashed: ${(error as Error).stack ?? error}`)
    this.#sweeper = new CountedSweeper(now, SWEEP_MS, crashed)
    this.#peerSweeper = new CountedSweeper(now, SWEEP_MS, crashed)
    this.#gate = this.#makeGate()
    this.#room = new WaitingRoom({
      routes: {
        holdMs: () => 10_000,
        tenantOf: () => 'alice',
        whenBack: (_name, back) => {
          this.#backs.add(back)
          return () => void this.#backs.delete(back)
        },
      },
      now,
      after,
      counts: { held: () => {} },
    })
    const failed = (_id: string, fault: TunnelFault): void => {
      this.note(() => `failed: ${fault.code} ${fault.detail ?? ''}`)
      if (fault.code === 'internal-error')
        this.violated(`internal-error: ${(fault.cause as Error)?.stack ?? fault.stack}`)
    }
    const context: ProxyContext = {
      dispatcher: { find: (host) => this.#find(host) },
      proto: 'https',
      cookies: new CookieFence('example.com'),
      newRequestId: new RequestIds('0123456789ab').next,
      failed,
      records: {
        begun: () => {
          this.begun += 1
        },
        over: ({ id, head, status, end, fault, retries }) => {
          this.note(() => `over: ${head?.path} ${status} ${end} ${fault ?? ''}`)
          this.#expectTaken(head?.path, status, end)
          this.records.push({ id, path: head?.path, status, end, fault, retries })
        },
      },
    }
    this.#listener = new PublicListener({
      proxyProtocol: 'off',
      context,
      now,
      sweeper: this.#sweeper,
      ...(plan.places > 0 && { ceilings: new VisitorCeilings({ perTask: plan.places }) }),
      refused: (fault) => {
        if (plan.places === 0 || fault.code !== 'visitors-exhausted')
          this.violated(`a visitor was refused: ${fault.code}`)
      },
      crashed,
    })
    const peerStreams: PeerStreamContext = {
      proto: 'https',
      cookies: context.cookies,
      sweeper: this.#peerSweeper,
      failed,
      now,
    }
    if (plan.inbound === 'peer') this.#hop = new HopWay(this, this.#house(peerStreams))
    if (!plan.away) this.#arrive()
    const server = this.#listener.createServer()
    for (const planned of plan.visitors)
      this.visitors.push(
        plan.inbound === 'http2' ? new Http2Visitor(planned, this, server) : new Http1Visitor(planned, this, server),
      )
  }

  readonly now = (): number => this.clock.now()

  readonly violated = (what: string): void => {
    this.note(() => `VIOLATED: ${what}`)
    this.findings.push(what)
  }

  /** A response is over when its visitor has taken it; behind an upgrade, when both ends are. */
  #expectTaken(path: string | undefined, status: number, end: RequestEnd): void {
    if (end !== 'whole' || status === 101) return
    const visitor = this.visitors.find(({ planned }) => planned.requests.some(({ id }) => path === `/${id}`))
    if (visitor !== undefined && visitor.waiting > 0)
      this.violated(`${path} is over while ${visitor.waiting} bytes of it wait for its visitor`)
  }

  note(what: () => string): void {
    if (this.#verbose) this.notes.push(what())
  }

  newStreamId(): number {
    this.#streamIds += 2
    return this.#streamIds
  }

  opened(near: VirtualStream): void {
    this.note(() => `stream ${near.id} opened`)
    this.#streams.push(near)
  }

  arrived(server: LocalServer, id: number, head: HeadRead): Attempt | undefined {
    const request = this.requests.find((each) => each.id === id)
    if (request === undefined) return undefined
    const index = this.attempts.filter((each) => each.request === request).length
    const answer = makeAnswer(this.random, this.plan, request, index)
    const attempt: Attempt = { request, index, head, server, answer, body: '', whole: false, sent: 0, spliced: '' }
    this.attempts.push(attempt)
    this.note(
      () =>
        `arrived: /${id}.${index} by stream ${server.stream.id}: ${answer.begins} ${answer.status} stops at ${answer.stopsAt} of ${answer.wire.length}, ${answer.afterwards}`,
    )
    return attempt
  }

  // ── the case ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async run(): Promise<CaseResult> {
    const { random, plan } = this
    for (const visitor of this.visitors) await visitor.connect?.()
    for (let left = plan.turns; left > 0; left--) {
      this.#randomTurn()
      const rest = random.below(4)
      if (rest === 0) await turn()
      else if (rest === 1) await undefined
    }
    this.note(() => '── chance is over')
    this.#bringAbout()
    await this.#settle()
    if (plan.benign) this.#expectAllAnswered()
    for (const ms of WAITS) {
      if (this.#isOver) break
      this.#advance(ms)
      this.#bringAbout()
      await this.#settle()
    }
    await this.#close()
    judge(this)
    return { plan, findings: this.findings, notes: this.notes, counts: this.#counts() }
  }

  #randomTurn(): void {
    const { random } = this
    const what = random.below(16)
    if (what < 6) random.pick(this.visitors).step()
    else if (what < 10) this.#carryOne()
    else if (what < 14) this.#serveOne()
    else if (what < 15) this.#advance(random.below(this.plan.pace))
    else this.#event()
  }

  #carryOne(): void {
    if (this.#streams.length === 0) return
    const near = this.random.pick(this.#streams)
    const end = this.random.once(2) ? near : near.other
    if (end.moves) end.carry(this.random.once(3) ? 1 + this.random.below(50) : 100_000)
  }

  #serveOne(): void {
    if (this.#channels.length === 0) return
    const { servers } = this.random.pick(this.#channels)
    if (servers.length > 0) this.random.pick(servers).step()
  }

  #event(): void {
    const { random, plan } = this
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2:
        if (this.#pending.length > 0) this.#pending.splice(random.below(this.#pending.length), 1)[0]!()
        return
      case 3:
        if (this.#channel === undefined && random.once(3)) this.#arrive()
        return
      case 4:
        if (this.#left.replaced > 0 && this.#channel !== undefined) this.#replace()
        return
      case 5:
        if (this.#left.lost > 0 && this.#channel !== undefined) this.#lose()
        return
      case 6:
        // The node has lost the claim, and the others have not been told.
        if (this.#left.stale > 0) {
          this.#left.stale -= 1
          this.happened.add('stale')
          this.#epoch += 1
        }
        return
      default:
        if (this.#left.ends && random.once(4)) this.#endBy(plan.ends)
        else if (this.#fenced && random.once(2)) this.#liftFence()
    }
  }

  /** What chance has left open happens now. */
  #bringAbout(): void {
    if (this.#channel === undefined && (this.plan.benign || this.random.once(2))) this.#arrive()
    for (const settle of this.#pending.splice(0)) settle()
    if (this.#fenced) this.#liftFence()
    // The tunnel is elsewhere by now.
    if (this.#peerDraining) this.#epoch += 1
    this.#peerDraining = false
  }

  /** Everybody goes on until nobody can. */
  async #settle(): Promise<void> {
    let idle = 0
    for (let turns = 0; idle < IDLE_TURNS[this.plan.inbound]; turns++) {
      if (turns > MOST_TURNS) return this.violated('it goes on for ever')
      let moved = false
      for (const visitor of this.visitors) moved = visitor.step(true) || moved
      for (const near of this.#streams) {
        for (const end of [near, near.other]) {
          if (!end.moves) continue
          end.carry(100_000)
          moved = true
        }
      }
      for (const { servers } of this.#channels) for (const server of servers) moved = server.step() || moved
      if (this.plan.benign)
        for (const settle of this.#pending.splice(0)) {
          settle()
          moved = true
        }
      await turn()
      idle = moved ? 0 : idle + 1
    }
  }

  get #isOver(): boolean {
    return this.visitors.every((visitor) => visitor.over)
  }

  #expectAllAnswered(): void {
    for (const visitor of this.visitors)
      if (visitor.planned.leaving === 'never' && !visitor.over)
        this.violated(`visitor ${visitor.index} waits, though nothing went wrong: ${visitor.describe()}`)
  }

  // ── what happens ──────────────────────────────────────────────────────────────────────────────────────────────────

  #advance(ms: number): void {
    if (ms <= 0) return
    this.note(() => `${ms} ms pass`)
    this.clock.advance(ms)
    this.#sweeper.sweep()
    this.#peerSweeper.sweep()
    for (const { route } of this.#channels) route.sweep()
    for (const route of this.#hop?.routes ?? []) route.sweep()
  }

  #arrive(): void {
    this.note(() => 'the agent arrives')
    this.#channel = this.#newChannel()
    const waiting = [...this.#backs]
    this.#backs.clear()
    const route = this.#currentRoute()
    for (const back of waiting) back(route)
  }

  #newChannel(): Channel {
    this.#epoch += 1
    const channel = new Channel(this, this.#gate)
    this.#channels.push(channel)
    return channel
  }

  /** Make before break. */
  #replace(): void {
    this.note(() => 'the channel is replaced')
    this.#left.replaced -= 1
    const old = this.#channel
    this.#channel = this.#newChannel()
    old?.route.retire()
  }

  #lose(): void {
    this.note(() => 'the channel is lost')
    this.#left.lost -= 1
    this.happened.add('lost')
    const old = this.#channel
    if (old !== undefined && !old.lost && this.random.once(3)) {
      // It takes no streams any more, and those that it has go on for a moment.
      this.#left.lost += 1
      old.lost = true
      return
    }
    this.#channel?.lose()
    this.#channel = this.random.once(2) ? this.#newChannel() : undefined
    if (this.#channel === undefined) this.happened.add('away')
    old?.route.retire()
  }

  #endBy(how: Plan['ends']): void {
    this.note(() => `end: ${how}`)
    this.#left.ends = false
    this.happened.add(how)
    switch (how) {
      case 'drain':
        this.#drained = this.#listener.drain(2 ** 31 - 1)
        return
      case 'cut':
        this.#drained = this.#listener.drain(0)
        return
      case 'terminate':
        for (const { users } of this.#routes()) for (const user of [...users]) user.terminate()
        return
      case 'disable-keep-alive':
        return this.#listener.disableKeepAlive()
      case 'fence':
        this.#fenced = true
        return
      case 'peer-drain':
        this.#peerDraining = true
    }
  }

  #liftFence(): void {
    this.#fenced = false
    const lifts = [...this.#lifts]
    this.#lifts.clear()
    for (const lift of lifts) lift()
  }

  // ── the node under test ───────────────────────────────────────────────────────────────────────────────────────────

  #find(host: string): Route | Sought | Away | TunnelFault {
    if (host !== 'demo.example.com') return new TunnelFault('host-unknown')
    const fails = this.plan.lookupsFail && this.random.once(6)
    if (this.#lookupsLeft > 0 && this.random.once(2)) {
      this.#lookupsLeft -= 1
      const fault = fails ? new TunnelFault('store-unavailable') : undefined
      return new Sought(new Promise((resolve) => this.#pending.push(() => resolve(fault))))
    }
    if (fails) return new TunnelFault('tunnel-not-found')
    if (this.#channel !== undefined) return this.#currentRoute()
    this.happened.add('away')
    return new Away(this.#room, 'demo' as Subdomain)
  }

  #currentRoute(): Route {
    return this.#hop?.route(this.#epoch) ?? this.#channel!.route
  }

  #makeGate(): VisitorGate | undefined {
    const { gate } = this.plan
    if (gate === 'none') return undefined
    const verdict = (head: RequestHead): Verdict =>
      this.requests.find(({ id }) => head.path === `/${id}`)?.refused
        ? new TunnelFault('visitor-not-allowed')
        : undefined
    return {
      judge: (_address, head) => {
        const found = verdict(head)
        if (gate === 'at-once' || this.random.once(2)) return found
        return new Promise((resolve) => this.#pending.push(() => resolve(found)))
      },
    }
  }

  #house(context: PeerStreamContext): HopHouse {
    return {
      routes: {
        ofClaim: (_name, epoch) => {
          const route = epoch === this.#epoch ? this.#channel?.route : undefined
          return route && { route, tenant: 'ann' }
        },
      },
      fence: {
        closed: () => this.#fenced,
        whenLifted: (run) => {
          this.#lifts.add(run)
          return () => void this.#lifts.delete(run)
        },
      },
      draining: () => this.#peerDraining,
      now: this.now,
      judge: (stream, preamble, route, returned) => new PeerStream(stream, preamble, route, context, returned).listener,
    }
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Visitors leave, local servers hang up, and then nothing may be left. */
  async #close(): Promise<void> {
    for (const visitor of this.visitors) visitor.leave()
    await this.#settle()
    this.#sweeper.sweep()
    this.#peerSweeper.sweep()
    for (const { route } of this.#channels) route.retire()
    for (const route of this.#hop?.routes ?? []) route.retire()
    await this.#settle()
    for (const ms of [3000, 62_000, 620_000, 3000]) {
      this.#advance(ms)
      if (ms > TCP_KEEPALIVE_MS) for (const visitor of this.visitors) visitor.keepAlive?.()
      await this.#settle()
    }
    if (this.happened.has('cut')) await this.#drained
    await this.#settle()
    this.#expectNothingLeft()
    this.#drained ??= this.#listener.drain(0)
    await this.#drained
    this.#sweeper.stop()
    this.#peerSweeper.stop()
  }

  #expectNothingLeft(): void {
    const left = {
      visitors: this.#listener.visitors,
      users: this.#routes().reduce((sum, { users }) => sum + users.size, 0),
      'items of the sweeper': this.#sweeper.items,
      'items of the sweeper of peers': this.#peerSweeper.items,
      'held requests': this.#room.size,
      timers: this.clock.timers,
      backs: this.#backs.size,
      'queued requests': this.#queued(),
      'busy streams of the hop': this.#hop?.busyStreams ?? 0,
      'streams of the hop': this.#hop?.streams.size ?? 0,
      'idle streams': this.#channels.reduce((sum, { route }) => sum + route.idleStreams, 0),
      'open streams': this.#streams.filter(({ gone }) => !gone).length,
      'leases not ended': this.book.leases.filter(({ end }) => end === undefined).length,
    }
    for (const [what, number] of Object.entries(left)) if (number !== 0) this.violated(`left: ${number} ${what}`)
  }

  #queued(): number {
    return this.#routes().reduce((sum, { queue }) => sum + queue.size, 0)
  }

  #routes() {
    return [...this.#channels.map(({ route }) => route), ...(this.#hop?.routes ?? [])]
  }

  #counts(): Record<string, number> {
    const counts: Record<string, number> = { [this.plan.inbound]: 1, requests: this.begun }
    for (const { end, fault, retries } of this.records) {
      counts.retries = (counts.retries ?? 0) + retries
      counts[end] = (counts[end] ?? 0) + 1
      if (fault !== undefined) counts[fault] = (counts[fault] ?? 0) + 1
    }
    counts.reused = this.book.leases.filter(({ reused }) => reused).length
    return counts
  }
}

/** Makes the case of that seed and runs it. */
export function runVisit(seed: number, verbose = false): Promise<CaseResult> {
  return new VisitCase(seed, verbose).run()
}
