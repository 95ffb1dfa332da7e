/** A good tunnel in a process of its own: its local server, its agent and the visitors who ask for it at an even pace. Knows nothing of what goes on beside it. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ChannelTicket } from '@postern/protocol/ticket'

export interface Pace {
  readonly answered: number
  readonly failed: number
  /** What came instead of an answer, and how often. */
  readonly failures: Readonly<Record<string, number>>
  readonly perSecond: number
  /** The longest wait for an answer, in milliseconds. */
  readonly longest: number
  /** Of a hundred waits, the second longest, in milliseconds. */
  readonly p99: number
  /** The same of the visitors who came without the tunnel; 0 if there are none. */
  readonly directP99: number
}

/** What the process is told first. */
export interface GoodTunnelOrder {
  readonly ticket: ChannelTicket
  readonly publicPort: number
  /** As visitors name the tunnel. */
  readonly host: string
  /** Visitors, each of whom asks every `paceMs` for `answerBytes`. Unless told four, 25 times a second, for a few bytes. */
  readonly visitors?: number
  readonly paceMs?: number
  readonly answerBytes?: number
  /** Whether as many others ask the local server at the same pace without the tunnel: what they wait for is the machine. */
  readonly alsoDirect?: boolean
  /** Where its visitors come from: 127.0.0.1 unless told. */
  readonly visitorAddress?: string
}

/** What of the tunnel is not for its own visitors: an answer that is longer than anybody waits for. */
export const ENDLESS_PATH = '/endless'
export const ENDLESS_BYTES = 1024 ** 4

export interface GoodTunnel {
  /** How its visitors fared since it was asked last. */
  pace(): Promise<Pace>
  stop(): Promise<void>
}

/** Resolves when its visitors have begun. */
export async function startGoodTunnel(order: GoodTunnelOrder): Promise<GoodTunnel> {
  const child = fork(fileURLToPath(new URL('./good-tunnel-main.ts', import.meta.url)), {
    execArgv: ['--import', import.meta.resolve('tsx')],
  })
  const exited = once(child, 'exit')
  const answer = async (): Promise<unknown> => {
    const [message] = await Promise.race([once(child, 'message'), exited])
    if (child.exitCode !== null) throw new Error(`The good tunnel ended with exit code ${child.exitCode}.`)
    return message
  }
  child.send(order)
  await answer()
  return {
    async pace() {
      child.send('pace')
      return (await answer()) as Pace
    },
    async stop() {
      child.kill()
      await exited
    },
  }
}
