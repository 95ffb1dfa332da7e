/** Asks for one address at an even pace over kept-alive connections, and counts what fails. Never asks twice. Knows nothing of what is behind the address. */
import http from 'node:http'

export interface Tally {
  readonly requests: number
  /** Answered with a 5xx, cut or refused. */
  readonly failures: number
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
  let underWay = 0
  let settled = (): void => undefined

  const ask = (): void => {
    underWay += 1
    const over = (failed: boolean): void => {
      underWay -= 1
      requests += 1
      if (failed) failures += 1
      if (underWay === 0) settled()
    }
    // Names below localhost are not resolved everywhere.
    const request = http.get({ host: '127.0.0.1', port: port || 80, headers: { host }, agent })
    let answered = false
    request.on('response', (response) => {
      answered = true
      response.resume()
      response.on('close', () => over(!response.complete || response.statusCode! >= 500))
    })
    request.on('error', () => {
      if (!answered) over(true)
    })
  }
  const timer = setInterval(ask, 1000 / PER_SECOND)
  const tally = (): Tally => ({ requests, failures })
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
