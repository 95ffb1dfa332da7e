/** Sends requests to one address at an even rate over kept-alive connections, and counts what fails. It repeats no request. */
import http from 'node:http'

export interface Tally {
  readonly requests: number
  /** Answered with a 5xx, cut or refused. */
  readonly failures: number
  /** Each kind of failure once: `503 tunnel-offline`, `ECONNRESET`. */
  readonly reasons: readonly string[]
}

/** Enough to see a gap, and nothing that the machine would notice. */
const PER_SECOND = 50
/** As a browser. */
const CONNECTIONS = 6

/** Begins at once. @param url `http://demo.localhost:8080` */
export function visitSteadily(url: string): { readonly tally: Tally; stop(): Promise<Tally> } {
  const { host, port } = new URL(url)
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  let requests = 0
  let failures = 0
  const reasons = new Set<string>()
  let underWay = 0
  let settled = (): void => undefined

  const ask = (): void => {
    underWay += 1
    const over = (reason?: string): void => {
      underWay -= 1
      requests += 1
      if (reason !== undefined) {
        failures += 1
        reasons.add(reason)
      }
      if (underWay === 0) settled()
    }
    // Names below localhost are not resolved everywhere.
    const request = http.get({ host: '127.0.0.1', port: port || 80, headers: { host }, agent })
    let answered = false
    request.on('response', (response) => {
      answered = true
      response.resume()
      response.on('close', () => over(failureOf(response)))
    })
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (!answered) over(error.code ?? error.message)
    })
  }
  const timer = setInterval(ask, 1000 / PER_SECOND)
  const tally = (): Tally => ({ requests, failures, reasons: [...reasons] })
  return {
    get tally() {
      return tally()
    },
    async stop() {
      clearInterval(timer)
      if (underWay > 0)
        await new Promise<void>((resolve) => {
          settled = resolve
        })
      agent.destroy()
      return tally()
    },
  }
}

/** Undefined: the response is whole, and no 5xx. */
function failureOf({ complete, statusCode, headers }: http.IncomingMessage): string | undefined {
  if (!complete) return `${statusCode} cut`
  return statusCode! < 500 ? undefined : `${statusCode} ${headers['tunnel-error'] ?? ''}`.trimEnd()
}
