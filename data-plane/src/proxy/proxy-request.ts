/**
 * The way of one connection's requests to their routes: found by Host, judged by the route's gate, held while the tunnel's agent is away.
 * Knows nothing of sockets, exchanges or what a gate goes by.
 */
import { TunnelFault, toFault } from '@postern/protocol/fault'
import type { RequestHead } from '@postern/protocol/http'
import { HEAD_TIMEOUT_MS, LOOKUP_ROUNDS, SWEEP_MS } from '@postern/protocol/limits'
import { Redirect } from '../dispatch/redirector.ts'
import { Sought } from '../dispatch/sought.ts'
import { Away } from '../dispatch/waiting-room.ts'
import type { Route } from '../route/route.ts'
import type { Verdict } from '../route/visitor-gate.ts'

export interface AdmissionContext {
  /** What a request with this (lower-case) Host is answered with or from. */
  readonly dispatcher: { find(host: string): Route | Sought | Away | Redirect | TunnelFault }
  /** A failure on this connection, for the log. */
  failed(requestId: string, fault: TunnelFault): void
}

export interface Application {
  readonly head: RequestHead
  readonly requestId: string
  /**
   * Whether it may be sent elsewhere, should its channel have gone. A few times: an agent that dies takes all of its channels along, one
   * after the other.
   */
  readonly mayMove: boolean
  /** What it gets if there is nowhere else to go: why its channel has gone. */
  readonly lost?: TunnelFault
}

/** The connection, as its requests' way to a route sees it. Each request ends by `admit`, `redirect` or `refuse`, unless it is withdrawn. */
export interface Applicant {
  /** Where the visitor comes from, for the gate. */
  readonly clientAddress: string
  /** Whether it has time until its tunnel's agent is back. */
  readonly mayWait: boolean
  admit(route: Route, application: Application): void
  redirect(to: Redirect, application: Application): void
  refuse(fault: TunnelFault, application: Application): void
  /** Follows all that happens later than in the call that began it: what has come meanwhile can be taken up. */
  resume(): void
  /** Expires what is pending unless it is set again before; milliseconds from now. */
  expireIn(ms: number): void
}

type State =
  | { readonly kind: 'idle' }
  /** The gate of its route takes its time. */
  | { readonly kind: 'judged'; readonly application: Application }
  /** Where its tunnel is takes its time to find out. */
  | { readonly kind: 'sought'; readonly application: Application }
  /** The tunnel's agent is away, and the request waits for it. */
  | { readonly kind: 'held'; readonly application: Application; readonly leave: () => void }

const IDLE: State = { kind: 'idle' }

export class Admission {
  readonly #applicant: Applicant
  readonly #context: AdmissionContext
  #state: State = IDLE
  /** How many channels the request at hand was with, which have gone. */
  #moves = 0

  constructor(applicant: Applicant, context: AdmissionContext) {
    this.#applicant = applicant
    this.#context = context
  }

  /** Whether a request waits for its tunnel's agent. */
  get held(): boolean {
    return this.#state.kind === 'held'
  }

  begin(head: RequestHead, requestId: string): void {
    this.#moves = 0
    this.#dispatch({ head, requestId, mayMove: true })
  }

  /**
   * For a request whose channel has gone with fault `lost`, which it gets if there is nowhere else to go. The streams of a channel hear of
   * its end first; once all have, its name has another one, or none.
   */
  beginAgain(head: RequestHead, requestId: string, lost: TunnelFault): void {
    this.#moves += 1
    const application: Application = { head, requestId, mayMove: this.#moves < LOOKUP_ROUNDS, lost }
    const state: State = { kind: 'held', application, leave: () => {} }
    this.#state = state
    queueMicrotask(() => {
      if (this.#state !== state) return
      this.#dispatch(application)
      this.#applicant.resume()
    })
  }

  /** A held request is answered at once; one that is judged or sought is not concerned. */
  stopWaiting(): void {
    if (this.#state.kind !== 'held') return
    const { application, leave } = this.#state
    leave()
    this.#refuse(new TunnelFault('tunnel-offline'), application)
  }

  /** The request is no more. */
  withdraw(): void {
    if (this.#state.kind === 'held') this.#state.leave()
    this.#state = IDLE
  }

  /** The time that `expireIn` gave is over. */
  expire(): void {
    if (this.#state.kind === 'judged')
      return this.#refuse(new TunnelFault('visitor-checks-busy'), this.#state.application)
    if (this.#state.kind === 'sought')
      return this.#refuse(new TunnelFault('store-unavailable', 'It takes too long to answer.'), this.#state.application)
    if (this.#state.kind === 'held') this.#applicant.expireIn(SWEEP_MS)
  }

  /** `rounds`: how often its tunnel was sought before. */
  #dispatch(application: Application, rounds = 0): void {
    const found = this.#context.dispatcher.find(application.head.host)
    if (found instanceof TunnelFault) return this.#refuse(this.#nowhere(found, application), application)
    if (found instanceof Redirect) {
      this.#state = IDLE
      return this.#applicant.redirect(found, application)
    }
    if (found instanceof Sought) return void this.#awaitPlace(found, application, rounds)
    if (found instanceof Away) return this.#hold(found, application)
    this.#judge(found, application)
  }

  /** A channel that was lost explains more than that there is no other; a tunnel that has moved is told by where it is now. */
  #nowhere(found: TunnelFault, { requestId, lost }: Application): TunnelFault {
    if (lost === undefined || lost.code === 'tunnel-moved') return found
    this.#context.failed(requestId, lost)
    return lost
  }

  async #awaitPlace(sought: Sought, application: Application, rounds: number): Promise<void> {
    const state: State = { kind: 'sought', application }
    this.#state = state
    this.#applicant.expireIn(HEAD_TIMEOUT_MS)
    const fault = await sought.settled
    if (this.#state !== state) return
    if (fault !== undefined) this.#refuse(this.#broken(fault, application), application)
    // What was found is gone before it was used, again and again: the tunnel changes places faster than it can be followed.
    else if (rounds >= LOOKUP_ROUNDS) this.#refuse(new TunnelFault('tunnel-moved'), application)
    else this.#dispatch(application, rounds + 1)
    this.#applicant.resume()
  }

  /** The only way to a route: every request comes by here each time, from a hold and from a lost channel too. */
  #judge(route: Route, application: Application): void {
    const { gate } = route
    if (gate === undefined) return this.#admit(route, application)
    let verdict: Verdict | Promise<Verdict>
    try {
      verdict = gate.judge(this.#applicant.clientAddress, application.head)
    } catch (error) {
      verdict = this.#broken(error, application)
    }
    if (!(verdict instanceof Promise)) return this.#decide(verdict, route, application)
    const sure = verdict.catch((error) => this.#broken(error, application))
    this.#awaitVerdict(sure, route, application).catch((error) =>
      this.#refuse(this.#broken(error, application), application),
    )
  }

  async #awaitVerdict(pending: Promise<Verdict>, route: Route, application: Application): Promise<void> {
    const state: State = { kind: 'judged', application }
    this.#state = state
    this.#applicant.expireIn(HEAD_TIMEOUT_MS)
    const verdict = await pending
    if (this.#state !== state) return
    // Another channel may have the name by now, with other rules: those count. Or none has, and the request waits for the next.
    const overtaken = verdict === undefined && this.#context.dispatcher.find(application.head.host) !== route
    if (overtaken) this.#dispatch(application)
    else this.#decide(verdict, route, application)
    this.#applicant.resume()
  }

  #decide(verdict: Verdict, route: Route, application: Application): void {
    if (verdict === undefined) this.#admit(route, application)
    else this.#refuse(verdict, application)
  }

  #hold(away: Away, application: Application): void {
    const leave = this.#applicant.mayWait
      ? away.hold({
          admit: (route) => {
            this.#judge(route, application)
            this.#applicant.resume()
          },
          turnAway: () => this.stopWaiting(),
        })
      : undefined
    if (leave === undefined) return this.#refuse(new TunnelFault('tunnel-offline'), application)
    this.#state = { kind: 'held', application, leave }
    this.#applicant.expireIn(SWEEP_MS)
  }

  #admit(route: Route, application: Application): void {
    this.#state = IDLE
    this.#applicant.admit(route, application)
  }

  #refuse(fault: TunnelFault, application: Application): void {
    this.#state = IDLE
    this.#applicant.refuse(fault, application)
  }

  /** What cannot be judged is not let in. */
  #broken(error: unknown, { requestId }: Application): TunnelFault {
    const fault = toFault(error)
    this.#context.failed(requestId, fault)
    return fault
  }
}
