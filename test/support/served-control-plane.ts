/** The control plane of a system under test, served by this process: everything it logs, measures and answers is kept, every secret in it known. */
import { randomBytes } from 'node:crypto'
import { createApp, Grants, type Settings } from '@postern/control-plane'
import { type ControlServer, startControlServer } from '@postern/local/control-server'
import { tooMany } from '@postern/local/route-throttle'
import { RateBucket } from '@postern/protocol/channel'
import type { Stores } from '@postern/protocol/store'
import { newDeploymentSecret, parseDeploymentKeys } from '@postern/protocol/ticket'
import { Turnstile } from '../../data-plane/src/route/turnstile.ts'
import type { Canaries, Place } from './canaries.ts'
import { addDeploymentSecret } from './deployment-canaries.ts'

/** What may change while it runs. */
export interface ControlPlaneState {
  /** Text of the channel secret. */
  readonly secret: string
  /** Where new tickets lead. */
  readonly channelPort: number
}

/** One call, when it came (performance.now()), and how it was answered. */
export interface AnsweredCall {
  readonly at: number
  readonly method: string
  readonly path: string
  readonly status: number
}

export interface ControlPlaneOptions {
  readonly stores: Stores
  readonly canaries: Canaries
  readonly settings: Omit<Settings, 'channelPort'>
}

export class ServedControlPlane {
  readonly port: number
  readonly #server: ControlServer
  readonly #options: ControlPlaneOptions
  readonly #grantSecret = newDeploymentSecret(randomBytes)
  #state: Partial<ControlPlaneState> = {}
  #logged = ''
  #answered = ''
  /** Absent: all calls are let through. */
  #rate: RateBucket | undefined
  readonly calls: AnsweredCall[] = []
  readonly #executions = new Turnstile(EXECUTIONS_AT_ONCE)
  #underWay = 0

  private constructor(server: ControlServer, options: ControlPlaneOptions) {
    this.port = server.port
    this.#server = server
    this.#options = options
    addDeploymentSecret(options.canaries, this.#grantSecret)
  }

  /** Listens at once; answers 503 until `use` has told it both a secret and a port. */
  static async start(options: ControlPlaneOptions): Promise<ServedControlPlane> {
    return new ServedControlPlane(await startControlServer(), options)
  }

  /** Goes on with these changes, like a Lambda that was deployed again: calls under way end as they began. */
  use(changes: Partial<ControlPlaneState>): void {
    this.#state = { ...this.#state, ...changes }
    const { secret, channelPort } = this.#state
    if (secret === undefined || channelPort === undefined) return
    const { stores, settings } = this.#options
    const keep = (entry: object): void => {
      this.#logged += `${JSON.stringify(entry)}\n`
    }
    const app = createApp({
      stores,
      keys: parseDeploymentKeys(secret),
      grants: new Grants({ keys: parseDeploymentKeys(this.#grantSecret), stores, now: Date.now }),
      settings: { ...settings, channelPort },
      now: Date.now,
      random: randomBytes,
      sourceIp: (c) => c.env.sourceIp,
      log: keep,
      measure: keep,
    })
    this.#server.serve(async (request, sourceIp) => {
      const presented = /^Bearer (pst_\w{16,})$/.exec(request.headers.get('authorization') ?? '')?.[1]
      if (presented !== undefined) this.#options.canaries.add('a token that was presented', presented)
      const at = performance.now()
      const response =
        this.#rate?.take() !== false ? await this.#carryOut(async () => app.fetch(request, { sourceIp })) : tooMany()
      const { pathname: path } = new URL(request.url)
      this.calls.push({ at, method: request.method, path, status: response.status })
      this.#read(await response.clone().text())
      return response
    })
  }

  /** Lets through so many calls a second from now on (a tenth of them at once), and answers the others 429 as API Gateway does. */
  throttle(perSecond: number): void {
    this.#rate = new RateBucket(perSecond, perSecond * BURST, () => performance.now())
  }

  async #carryOut(work: () => Promise<Response>): Promise<Response> {
    if (this.#underWay >= CALLS_UNDER_WAY) return tooMany()
    this.#underWay += 1
    try {
      return await this.#executions.pass(work)
    } finally {
      this.#underWay -= 1
    }
  }

  /** What it has left behind so far. */
  get places(): Place[] {
    return [
      { name: 'the log of the control plane', bytes: Buffer.from(this.#logged) },
      { name: 'the answers of the control plane', bytes: Buffer.from(this.#answered) },
    ]
  }

  stop(): Promise<void> {
    return this.#server.stop()
  }

  /** Keeps an answer without the secrets that it is there to hand out: nothing else of it may show one. */
  #read(text: string): void {
    const { canaries } = this.#options
    const withoutSecrets = (key: string, value: unknown): unknown => {
      if (typeof value !== 'string' || !Object.hasOwn(HANDED_OUT, key)) return value
      canaries.add(HANDED_OUT[key as keyof typeof HANDED_OUT], value)
      return undefined
    }
    this.#answered += text.startsWith('{') ? `${JSON.stringify(JSON.parse(text, withoutSecrets))}\n` : text
  }
}

/**
 * The others wait in line. A Lambda has a processor for each call; here all share two with everything else, and of hundreds that are carried
 * out side by side none would be done before its caller has given up.
 */
const EXECUTIONS_AT_ONCE = 4
/** Beyond this the answer is 429, as beyond the concurrency of a Lambda: who has to wait for longer than a call may take is served in vain. */
const CALLS_UNDER_WAY = 400
/** Of what passes in a second, so much may pass at once. */
const BURST = 0.1

const HANDED_OUT = {
  token: 'a token that was made',
  workerId: 'the id of a ticket',
  encryptionKeyText: 'the key of a ticket',
}
