/** Which ports of the balancer lead to which port of a task. Knows nothing of how. */
import { TASK_PORT } from './ports.ts'

export interface Door {
  readonly name: 'Https' | 'Http' | 'Channel'
  /** The balancer's. */
  readonly port: number
  readonly taskPort: number
  /** Whether the balancer ends TLS. */
  readonly tls: boolean
}

export function doors({ channelPort, domain }: { channelPort: number; domain: unknown }): Door[] {
  const channel: Door = { name: 'Channel', port: channelPort, taskPort: TASK_PORT.channel, tls: false }
  return domain === undefined
    ? // Without a domain there is no certificate: visitors come by http.
      [{ name: 'Http', port: 80, taskPort: TASK_PORT.public, tls: false }, channel]
    : [
        { name: 'Https', port: 443, taskPort: TASK_PORT.public, tls: true },
        { name: 'Http', port: 80, taskPort: TASK_PORT.redirect, tls: false },
        channel,
      ]
}
