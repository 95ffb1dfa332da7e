/** One knock: opens a tunnel as any agent does, visits its public URL, and says whether the answer came. Reads no environment and writes nothing. */
import { isFaultCode, TunnelFault, toFault } from '@postern/protocol/fault'
import { type ConnectOptions, connect } from '../../agent/src/connect.ts'
import { startNonceServer } from './nonce-server.ts'
import type { VisitStep, visit } from './visit.ts'

/** `open`: ticket and channel; `body`: an answer came, and it is not the local server's. */
type Step = 'token' | 'open' | VisitStep | 'body'

export interface KnockCall {
  /** The tunnel service, as an agent is given it. */
  readonly server: string
  readonly token: () => Promise<string>
  readonly subdomain: string
  /** What the local server answers; drawn anew for each knock. */
  readonly nonce: string
  readonly visit: typeof visit
  /** Milliseconds. */
  readonly now: () => number
  /** Ends the knock: how long it may take. */
  readonly signal: AbortSignal
}

export type Knock =
  /** `ms`: from the question for the name to the last byte of the answer. `openMs`: from the call for a ticket to the open tunnel. */
  | { readonly answered: true; readonly ms: number; readonly openMs: number }
  | { readonly answered: false; readonly step: Step; readonly fault: TunnelFault }

/** Never rejects: what failed is what it is for. */
export async function knock(call: KnockCall): Promise<Knock> {
  const { server, nonce, now, signal, subdomain } = call
  let step: Step = 'token'
  // While it is tried again, the reason is in the status alone.
  let why: TunnelFault | undefined
  const onStatus: ConnectOptions['onStatus'] = (status) => {
    if (status.kind === 'waiting') why = status.why
  }
  const undo: (() => Promise<void>)[] = []
  try {
    const token = await call.token()
    const local = await startNonceServer(nonce)
    undo.push(local.stop)
    step = 'open'
    const start = now()
    const tunnel = await connect({ target: `127.0.0.1:${local.port}`, server, token, subdomain, signal, onStatus })
    undo.push(() => tunnel.close({ drainMs: 0 }))
    const opened = now()
    const reached = (next: VisitStep) => {
      step = next
    }
    const answer = await call.visit(new URL(tunnel.url), { signal, reached })
    const ms = now() - opened
    if (answer.status === 200 && answer.body === nonce) return { answered: true, ms, openMs: opened - start }
    step = 'body'
    throw refusal(answer)
  } catch (error) {
    return { answered: false, step, fault: signal.aborted ? tooLate(step, why) : toFault(error, 'server-unreachable') }
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

function refusal({ status, code }: { status: number; code: string | undefined }): TunnelFault {
  if (code !== undefined && isFaultCode(code)) return new TunnelFault(code, `The public URL answered ${status}.`)
  return new TunnelFault('server-unreachable', `The public URL answered ${status}, and not as the local server did.`)
}

const tooLate = (step: Step, why: TunnelFault | undefined): TunnelFault =>
  (step === 'open' ? why : undefined) ??
  new TunnelFault(step === 'open' ? 'opening-timeout' : 'origin-timeout', `The canary gave up at the step "${step}".`)
