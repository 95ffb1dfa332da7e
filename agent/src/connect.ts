/** The library's door: opens a tunnel and keeps it open. Installs no signal handler, prints nothing, never ends the process. */
import { randomBytes } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { parseSubdomain } from '@postern/protocol/address'
import { UPSTREAM_PROTOCOLS, type UpstreamProtocol } from '@postern/protocol/channel'
import { parseServer } from '@postern/protocol/client'
import { TunnelFault } from '@postern/protocol/fault'
import { AGENT_DRAIN_MS, MOST_HOLD_MS, VISITOR_RULES_BYTES, WINDOW_BUDGET_BYTES } from '@postern/protocol/limits'
import { WindowBudget } from '@postern/protocol/mux'
import { checkToken, Secret } from '@postern/protocol/ticket'
import * as z from 'zod/mini'
import { Agent } from './agent.ts'
import type { AgentState } from './agent-state.ts'
import { ControlClient } from './control-client.ts'
import { dialChannel } from './dial-channel.ts'
import { LocalServer } from './local-server.ts'
import { parseTarget, pinTarget } from './target.ts'
import { twoWords } from './two-words.ts'
import { VERSION } from './version.ts'
import { type VisitorOptions, visitorRules } from './visitor-options.ts'

export type { UpstreamProtocol } from '@postern/protocol/channel'
export { TunnelFault } from '@postern/protocol/fault'
export type { FieldChanges, VisitorOptions } from './visitor-options.ts'

export interface ConnectOptions extends VisitorOptions {
  /** The local server: a port, `host:port` or `http://host:port`. */
  readonly target: number | string
  /** The tunnel service: `https://base`. In clear (`http://`) on loopback only. */
  readonly server: string
  readonly token: string | Secret
  /** Without it a random name of two words. */
  readonly subdomain?: string | undefined
  /** How long visitors wait while the agent is away, at most 60,000 ms; 0: not at all. The service decides (10 s) unless told. */
  readonly holdMs?: number | undefined
  /** `h2c` for a local server that speaks HTTP/2 in clear from the first byte, as gRPC servers do. `http/1.1` unless told. */
  readonly upstreamProtocol?: UpstreamProtocol | undefined
  /** Keep trying if the service cannot be reached at first. */
  readonly retry?: boolean
  /** Closes the tunnel at once when it fires. */
  readonly signal?: AbortSignal
  /** Hears every change from the first attempt on. */
  readonly onStatus?: (status: TunnelStatus) => void
  /** Hears that the local server cannot be reached, and (undefined) that it can again. It never ends the tunnel. */
  readonly onLocalServer?: (fault: TunnelFault | undefined) => void
}

export type TunnelStatus =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'online'; readonly url: string; readonly subdomain: string }
  /** Another attempt is made in `delayMs`. */
  | { readonly kind: 'waiting'; readonly why: TunnelFault; readonly delayMs: number }
  /** Over; `why` is undefined if we closed it. */
  | { readonly kind: 'closed'; readonly why: TunnelFault | undefined }

export interface Tunnel extends AsyncDisposable {
  readonly url: string
  readonly subdomain: string
  readonly status: TunnelStatus
  /** Resolves once the tunnel is over for good, with the server's last word or, after `close`, with undefined. Never rejects. */
  readonly closed: Promise<TunnelFault | undefined>
  /** Requests in flight may end within `drainMs` (10 s unless told); new ones are no longer taken. Harmless when repeated. */
  close(options?: { drainMs?: number }): Promise<void>
}

const fieldChanges = z.strictObject({
  add: z.optional(z.array(z.tuple([z.string(), z.string()]))),
  remove: z.optional(z.array(z.string())),
})

const optionsSchema = z.strictObject({
  target: z.union([z.number(), z.string()]),
  server: z.string(),
  token: z.union([z.string(), z.instanceof(Secret)]),
  subdomain: z.optional(z.string()),
  holdMs: z.optional(z.int().check(z.nonnegative(), z.maximum(MOST_HOLD_MS))),
  upstreamProtocol: z.optional(z.enum(UPSTREAM_PROTOCOLS)),
  retry: z.optional(z.boolean()),
  signal: z.optional(z.instanceof(AbortSignal)),
  onStatus: z.optional(z.function()),
  onLocalServer: z.optional(z.function()),
  basicAuth: z.optional(z.array(z.string())),
  allowCidr: z.optional(z.array(z.string())),
  denyCidr: z.optional(z.array(z.string())),
  requestHeaders: z.optional(fieldChanges),
  responseHeaders: z.optional(fieldChanges),
  hostHeader: z.optional(z.string()),
})

/**
 * Resolves once visitors can come; from then on the tunnel outlives every loss of the network.
 *
 * @throws TunnelFault `usage-invalid` or another of exit 2 for options that cannot work; what the server refused; `server-unreachable`
 */
export async function connect(options: ConnectOptions): Promise<Tunnel> {
  const parsed = optionsSchema.safeParse(options)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'options'}: ${issue.message}`)
    throw new TunnelFault('usage-invalid', `${problems.join('; ')}.`)
  }
  const { onStatus, onLocalServer, signal } = options
  const server = parseServer(options.server)
  const token = options.token instanceof Secret ? options.token : secretOf(options.token)
  const subdomain = options.subdomain === undefined ? undefined : parseSubdomain(options.subdomain)
  const target = parseTarget(String(options.target))
  const addresses = await pinTarget(target, (name) => lookup(name, { all: true }))

  const rules = await visitorRules(options, target)
  const hello = {
    version: VERSION,
    instanceId: randomBytes(16).toString('hex'),
    slot: 0,
    pool: false,
    rules,
    ...(options.holdMs !== undefined && { holdMs: options.holdMs }),
    ...(options.upstreamProtocol !== undefined && { upstreamProtocol: options.upstreamProtocol }),
  }
  if (Buffer.byteLength(JSON.stringify(rules)) > VISITOR_RULES_BYTES)
    throw new TunnelFault(
      'usage-invalid',
      `All rules for visitors together take more than ${VISITOR_RULES_BYTES} bytes.`,
    )

  const channelOptions = {
    hello,
    server: new LocalServer(addresses, target.port, onLocalServer),
    budget: new WindowBudget(WINDOW_BUDGET_BYTES),
    now: () => performance.now(),
  }
  let status: TunnelStatus = { kind: 'connecting' }
  let opened: (tunnel: { url: string; subdomain: string }) => void = () => undefined
  const firstOpened = new Promise<{ url: string; subdomain: string }>((resolve) => {
    opened = resolve
  })
  const agent = new Agent({
    subdomain,
    patient: options.retry ?? false,
    control: new ControlClient({ server, token, version: VERSION }),
    dial: (ticket, dialSignal) => dialChannel(ticket, channelOptions, dialSignal),
    drawName: () => twoWords(Math.random),
    now: () => performance.now(),
    random: Math.random,
    sleep: (ms, sleepSignal) => delay(ms, undefined, { signal: sleepSignal }).catch(() => undefined),
    report: (state, welcome) => {
      status = statusOf(state, welcome)
      if (status.kind === 'online') opened(status)
      onStatus?.(status)
    },
  })

  const abort = (): void => agent.stop(0)
  signal?.addEventListener('abort', abort, { once: true })
  const closed = agent.run().finally(() => signal?.removeEventListener('abort', abort))
  if (signal?.aborted) abort()
  const first = await Promise.race([firstOpened, closed])
  if (first === undefined) throw signal?.reason ?? new TunnelFault('channel-closed')
  if (first instanceof TunnelFault) throw first

  const close = async ({ drainMs = AGENT_DRAIN_MS }: { drainMs?: number } = {}): Promise<void> => {
    agent.stop(drainMs)
    await closed
  }
  return {
    url: first.url,
    subdomain: first.subdomain,
    get status() {
      return status
    },
    closed,
    close,
    [Symbol.asyncDispose]: () => close(),
  }
}

function secretOf(text: string): Secret {
  checkToken(text)
  return new Secret(text)
}

function statusOf(state: AgentState, welcome: { url: string; subdomain: string } | undefined): TunnelStatus {
  switch (state.kind) {
    case 'opening':
      return { kind: 'connecting' }
    case 'online':
      return { kind: 'online', url: welcome!.url, subdomain: welcome!.subdomain }
    case 'waiting':
      return { kind: 'waiting', why: state.why, delayMs: state.delayMs }
    case 'ended':
      return { kind: 'closed', why: state.why }
  }
}
