/** A client of server-sent events that comes back with Last-Event-ID, as browsers do. Knows nothing of why it was cut. */
import http from 'node:http'

interface EventListenerTally {
  /** Ids in the order in which they came. */
  readonly ids: readonly number[]
  readonly resumed: number
  /** Attempts that were answered by anything but an event stream, or not at all. */
  readonly refused: readonly string[]
}

export interface EventListener {
  readonly tally: EventListenerTally
  stop(): void
}

/** What browsers wait before they come back, shortened. */
const AGAIN_MS = 200

export function listenToEvents(port: number, host: string): EventListener {
  const ids: number[] = []
  const refused: string[] = []
  let resumed = 0
  let stopped = false
  let request: http.ClientRequest | undefined
  const again = (): void => {
    if (!stopped) setTimeout(open, AGAIN_MS)
  }
  const open = (): void => {
    if (stopped) return
    const last = ids.at(-1)
    const headers = { host, accept: 'text/event-stream', ...(last !== undefined && { 'last-event-id': String(last) }) }
    request = http.get({ host: '127.0.0.1', port, path: '/events', headers, agent: false })
    request.on('error', () => undefined)
    let answered = false
    request.on('response', (response) => {
      answered = response.statusCode === 200
      if (!answered) refused.push(`${response.statusCode} ${response.headers['tunnel-error'] ?? ''}`)
      else if (last !== undefined) resumed += 1
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        if (!answered) return
        text += chunk
        const events = text.split('\n\n')
        text = events.pop()!
        for (const event of events) ids.push(Number(/^id: (\d+)$/m.exec(event)?.[1]))
      })
      response.on('error', () => undefined)
    })
    request.on('close', () => {
      if (!answered && !stopped && refused.at(-1) === undefined) refused.push('cut')
      again()
    })
  }
  open()
  return {
    get tally() {
      return { ids, resumed, refused }
    },
    stop() {
      stopped = true
      request?.destroy()
    },
  }
}

/** Ids that did not come although a later one did. */
export const missing = (ids: readonly number[]): number[] =>
  ids.flatMap((id, index) => {
    const before = ids[index - 1]
    return before === undefined || id === before + 1 ? [] : [before + 1]
  })
