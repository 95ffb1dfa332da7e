/** A public listener under test: on a port of its own, by a clock that the test moves on, with notes of all that it said. Knows nothing of visitors. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Subdomain } from '@postern/protocol/address'
import type { ProxyPolicy } from '@postern/protocol/channel'
import { CookieFence } from '@postern/protocol/http'
import { onTestFinished } from 'vitest'
import { Dispatcher } from '../dispatch/dispatcher.ts'
import { PublicListener } from '../inbound/public-listener.ts'
import type { VisitorCeilings } from '../inbound/visitor-ceilings.ts'
import type { ProxyContext } from '../proxy/proxy-context.ts'
import { RequestIds } from '../proxy/request-ids.ts'
import type { TrustedProxies } from '../proxy/visitor.ts'
import type { Route } from '../route/route.ts'

export interface PublicStand {
  readonly port: number
  readonly listener: PublicListener
  /** Codes of what went wrong, as the log has them. */
  readonly faults: readonly string[]
  /** `request` for each that began, the code of each that ended by a fault, and `sent again: n`. */
  readonly counted: readonly string[]
  /** A line for each that is over: its version, its status, how it ended and by which fault. */
  readonly recorded: readonly string[]
  /** Of each that is over: how often it was sent again, and the bytes that its visitor sent. */
  readonly retries: readonly number[]
  readonly bytesIn: readonly number[]
  /** Lets so many milliseconds pass for the listener. */
  wait(ms: number): void
}

export interface StandOptions {
  readonly proxyProtocol?: ProxyPolicy
  readonly proxies?: TrustedProxies
  readonly ceilings?: VisitorCeilings
}

/** Of the base domain example.com, where visitors come by https. It is gone when the test is over. */
export async function startPublicStand(
  dispatcher: ProxyContext['dispatcher'],
  { proxyProtocol = 'off', proxies, ceilings }: StandOptions = {},
): Promise<PublicStand> {
  let ahead = 0
  const faults: string[] = []
  const counted: string[] = []
  const recorded: string[] = []
  const retries: number[] = []
  const bytesIn: number[] = []
  const listener = new PublicListener({
    proxyProtocol,
    proxies,
    ...(ceilings && { ceilings }),
    now: () => performance.now() + ahead,
    context: {
      dispatcher,
      proto: 'https',
      cookies: new CookieFence('example.com'),
      newRequestId: new RequestIds('0123456789ab').next,
      failed: (_id, fault) => faults.push(fault.code),
      records: {
        begun: () => counted.push('request'),
        over: ({ protocol, status, end, fault, retries: again, bytesIn: bytes }) => {
          if (fault !== undefined) counted.push(fault)
          if (again > 0) counted.push(`sent again: ${again}`)
          retries.push(again)
          bytesIn.push(bytes)
          recorded.push(`${protocol} ${status} ${end} ${fault ?? '-'}`)
        },
      },
    },
    refused: (fault) => faults.push(fault.code),
    crashed: (error) => faults.push(`crashed: ${error}`),
  })
  const server = listener.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => listener.drain(0))
  const { port } = server.address() as AddressInfo
  const wait = (ms: number): void => {
    ahead += ms
  }
  return { port, listener, faults, counted, recorded, retries, bytesIn, wait }
}

/** Knows the one tunnel demo.example.com. */
export const toDemo = (route: Route): Dispatcher =>
  new Dispatcher({
    base: 'example.com',
    routes: { get: (name: Subdomain) => (name === 'demo' ? route : undefined), isAway: () => false },
    apex: undefined,
  })
