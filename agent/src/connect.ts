/** The library's door: opens a tunnel and keeps it open. Installs no signal handler, prints nothing, never ends the process. */
import { randomBytes } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { parseSubdomain } from '@postern/protocol/address'
import { UPSTREAM_PROTOCOLS, type UpstreamProtocol } from '@postern/protocol/channel'
import { parseServer } from '@postern/protocol/client'
import { TunnelFault } from '@postern/protocol/fault'
import {
  AGENT_DRAIN_MS,
  CREDENTIAL_SALT_BYTES,
  MOST_FIRST_BYTE_MS,
  MOST_HOLD_MS,
  NOTICED_COOKIES,
  SLOTS_PER_NAME,
  VISITOR_RULES_BYTES,
  WINDOW_BUDGET_BYTES,
} from '@postern/protocol/limits'
import { WindowBudget } from '@postern/protocol/mux'
import { checkToken, Secret } from '@postern/protocol/ticket'
import * as z from 'zod/mini'
import { Agent, type AgentReport } from './agent.ts'
import { ControlClient } from './control-client.ts'
import { drawChannel } from './draw-channel.ts'
import type { Notice } from './live-channel.ts'
import { LocalServer } from './local-server.ts'
import { SharedBackoff } from './shared-backoff.ts'
import { parseTarget, pinTarget } from './target.ts'
import { twoWords } from './two-words.ts'
import { VERSION } from './version.ts'
import { credentialSalt, type VisitorOptions, visitorRules } from './visitor-options.ts'

export type { UpstreamProtocol } from '@postern/protocol/channel'
export { TunnelFault } from '@postern/protocol/fault'
export type { Notice } from './live-channel.ts'
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
  /** How long visitors wait for the first byte of an answer, at most 3,600,000 ms; 0: without limit. The service decides (60 s) unless told. */
  readonly firstByteMs?: number | undefined
  /** How many channels to keep open, to different tasks of the service where it has several: 1 to 8, 1 unless told. */
  readonly connections?: number | undefined
  /** Share the name with other agents of the same account that say so too, 8 channels in all, instead of taking it from them. */
  readonly pool?: boolean | undefined
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
  /**
   * Hears that an answer of the local server was refused (which rule of which RFC it broke, and in which line), that the local server has not answered a request for
   * 30 s, or the name of a cookie that was dropped because it was for the whole service; of each name once.
   */
  readonly onNotice?: (notice: Notice) => void
}

export type TunnelStatus =
  | { readonly kind: 'connecting' }
  /** `connections`: how many channels are open just now. */
  | { readonly kind: 'online'; readonly url: string; readonly subdomain: string; readonly connections: number }
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
  firstByteMs: z.optional(z.int().check(z.nonnegative(), z.maximum(MOST_FIRST_BYTE_MS))),
  holdMs: z.optional(z.int().check(z.nonnegative(), z.maximum(MOST_HOLD_MS))),
  connections: z.optional(z.int().check(z.gte(1), z.lte(SLOTS_PER_NAME))),
  pool: z.optional(z.boolean()),
  upstreamProtocol: z.optional(z.enum(UPSTREAM_PROTOCOLS)),
  retry: z.optional(z.boolean()),
  signal: z.optional(z.instanceof(AbortSignal)),
  onStatus: z.optional(z.function()),
  onLocalServer: z.optional(z.function()),
  onNotice: z.optional(z.function()),
  basicAuth: z.optional(z.array(z.string())),
  basicAuthAllowPreflight: z.optional(z.boolean()),
  basicAuthExcept: z.optional(z.array(z.string())),
  allowCidr: z.optional(z.array(z.string())),
  denyCidr: z.optional(z.array(z.string())),
  requestHeaders: z.optional(fieldChanges),
  responseHeaders: z.optional(fieldChanges),
  hostHeader: z.optional(z.string()),
  via: z.optional(z.boolean()),
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
  const { onStatus, onLocalServer, onNotice, signal } = options
  const server = parseServer(options.server)
  const token = options.token instanceof Secret ? options.token : secretOf(options.token)
  const subdomain = options.subdomain === undefined ? undefined : parseSubdomain(options.subdomain)
  const target = parseTarget(String(options.target))
  const addresses = await pinTarget(target, (name) => lookup(name, { all: true }))

  const salt = subdomain === undefined ? randomBytes(CREDENTIAL_SALT_BYTES) : credentialSalt(token, subdomain)
  const rules = await visitorRules(options, target, salt)
  const hello = {
    version: VERSION,
    instanceId: randomBytes(16).toString('hex'),
    pool: options.pool ?? false,
    label: ownLabel(),
    rules,
    ...(options.holdMs !== undefined && { holdMs: options.holdMs }),
    ...(options.firstByteMs !== undefined && { firstByteMs: options.firstByteMs }),
    ...(options.upstreamProtocol !== undefined && { upstreamProtocol: options.upstreamProtocol }),
  }
  if (Buffer.byteLength(JSON.stringify(rules)) > VISITOR_RULES_BYTES)
    throw new TunnelFault(
      'usage-invalid',
      `All rules for visitors together take more than ${VISITOR_RULES_BYTES} bytes.`,
    )

  const channelOptions = {
    random: Math.random,
    server: new LocalServer(addresses, target.port, onLocalServer),
    notice: onNotice && eachCookieOnce(onNotice),
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
    connections: options.connections ?? 1,
    patient: options.retry ?? false,
    control: new ControlClient({ server, token, version: VERSION }),
    dial: (ticket, { slot, unwanted }, dialSignal) =>
      drawChannel(ticket, { ...channelOptions, hello: { ...hello, slot } }, unwanted, dialSignal),
    drawName: () => twoWords(Math.random),
    now: () => performance.now(),
    backoff: backoffOf(server),
    report: (report) => {
      status = statusOf(report)
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

/** Several channels may report the same cookie. */
function eachCookieOnce(hear: (notice: Notice) => void): (notice: Notice) => void {
  const names = new Set<string>()
  return (notice) => {
    if (notice.about === 'cookie-dropped') {
      if (names.has(notice.detail) || names.size >= NOTICED_COOKIES) return
      names.add(notice.detail)
    }
    hear(notice)
  }
}

function secretOf(text: string): Secret {
  checkToken(text)
  return new Secret(text)
}

/** Of all tunnels of this process, by service: none of them knows better than the others whether it is there. */
const backoffs = new Map<string, SharedBackoff>()

function backoffOf(server: string): SharedBackoff {
  const backoff =
    backoffs.get(server) ??
    new SharedBackoff({
      now: () => performance.now(),
      random: Math.random,
      sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined),
    })
  backoffs.set(server, backoff)
  return backoff
}

/** How another agent that takes the name, or loses it, calls this one. */
const ownLabel = (): string =>
  `${hostname()
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, 40)} (pid ${process.pid})`

function statusOf(report: AgentReport): TunnelStatus {
  switch (report.kind) {
    case 'opening':
      return { kind: 'connecting' }
    case 'online': {
      const { welcome, connections } = report
      return { kind: 'online', url: welcome.url, subdomain: welcome.subdomain, connections }
    }
    case 'waiting':
      return { kind: 'waiting', why: report.why, delayMs: report.delayMs }
    case 'ended':
      return { kind: 'closed', why: report.why }
  }
}
