/** One line of JSON for each request that is over. Knows nothing of connections, nor of where the lines go. */
import { subdomainOf } from '@postern/protocol/address'
import { LOGGED_HOST_CHARACTERS, LOGGED_METHOD_CHARACTERS, LOGGED_PATH_CHARACTERS } from '@postern/protocol/limits'
import { inTenths } from '../public/in-tenths.ts'
import type { RecordedHead, RequestRecord } from '../public/request-record.ts'
import { jsonText } from './json-text.ts'
import { LineClock } from './line-clock.ts'

export interface AccessLogOptions {
  /** The base domain: what is below it is named as a tunnel, everything else as a host. */
  readonly base: string
  /** Whether the query is part of what is told; it may hold secrets. */
  readonly query: boolean
  /** Takes one line, with its line feed. */
  add(line: string): void
  /** Milliseconds since 1970. */
  clock(): number
  /** Monotonic milliseconds. */
  now(): number
}

/** Names that are remembered as they are written: more than a task has tunnels at once costs a little, not memory. */
const NAMES = 1000

/** Made of pieces, because an object for each line and its JSON would cost a third of what the request itself does. */
export class AccessLog {
  readonly #options: AccessLogOptions
  readonly #time: LineClock
  readonly #names = new Map<string, string>()

  constructor(options: AccessLogOptions) {
    this.#options = options
    this.#time = new LineClock(options)
  }

  over(record: RequestRecord): void {
    const { head, fault, holdMs, hopMs, channelMs, answerMs } = record
    const asked = head === undefined ? '' : this.#asked(head)
    const hold = holdMs > 0 ? `,"holdMs":${inTenths(holdMs)}` : ''
    const hop = hopMs >= 0 ? `,"hopMs":${inTenths(hopMs)}` : ''
    const channel = channelMs >= 0 ? `,"channelMs":${inTenths(channelMs)}` : ''
    const origin = answerMs >= 0 ? `,"originMs":${inTenths(record.originMs)}` : ''
    const failed = fault === undefined ? '' : `,"fault":"${fault}"`
    this.#options.add(
      `{"event":"request","time":"${this.#time.text(record.overAt)}","requestId":"${record.id}"${asked},"protocol":"${record.protocol}","visitor":"${record.visitor}","status":${record.status},"end":"${record.end}","bytesIn":${record.bytesIn},"bytesOut":${record.bytesOut},"totalMs":${inTenths(record.totalMs)}${hold}${hop}${channel}${origin}${failed}}\n`,
    )
  }

  #asked({ method, host, path }: RecordedHead): string {
    const query = this.#options.query ? -1 : path.indexOf('?')
    const told = query < 0 ? path : path.slice(0, query)
    return `${this.#names.get(host) ?? this.#name(host)}"method":"${jsonText(method, LOGGED_METHOD_CHARACTERS)}","path":"${jsonText(told, LOGGED_PATH_CHARACTERS)}"`
  }

  #name(host: string): string {
    const tunnel = subdomainOf(host, this.#options.base)
    if (tunnel === undefined) return host === '' ? ',' : `,"host":"${jsonText(host, LOGGED_HOST_CHARACTERS)}",`
    const name = `,"tunnel":"${tunnel}",`
    if (this.#names.size >= NAMES) this.#names.clear()
    this.#names.set(host, name)
    return name
  }
}
