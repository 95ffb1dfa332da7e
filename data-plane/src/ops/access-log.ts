/** One line of JSON for each request that is over. Knows nothing of connections, nor of where the lines go. */
import { nestedName, subdomainOf } from '@postern/protocol/address'
import {
  LINE_DELAY_MS,
  LOGGED_HOST_CHARACTERS,
  LOGGED_METHOD_CHARACTERS,
  LOGGED_PATH_CHARACTERS,
} from '@postern/protocol/limits'
import type { RequestEnd, RequestRecord } from '../proxy/request-record.ts'
import { jsonText } from './json-text.ts'
import type { LineBatch } from './line-batch.ts'
import { LineClock } from './line-clock.ts'
import type { LineWriter } from './line-writer.ts'
import { type NotedRequest, NotedRequests } from './noted-requests.ts'

export interface AccessLogOptions {
  /** The base domain: what is below it is named as a tunnel, everything else as a host. */
  readonly base: string
  /** Whether the query is part of what is told; it may hold secrets. */
  readonly query: boolean
  readonly lines: Pick<LineWriter, 'begin' | 'flush'>
  /** Milliseconds since 1970. */
  clock(): number
  /** Monotonic milliseconds. */
  now(): number
}

const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1')

const REQUEST_ID = ascii('Z","requestId":"')
const BYTES_OUT = ascii(',"bytesOut":')
const TOTAL = ascii(',"totalMs":')
const HOLD = ascii(',"holdMs":')
const HOP = ascii(',"hopMs":')
const CHANNEL = ascii(',"channelMs":')
const ORIGIN = ascii(',"originMs":')
const FAULT = ascii(',"fault":"')
/** All of a line but its heading, with the longest path, each character of it escaped. */
const REST_BYTES = 512 + 6 * LOGGED_PATH_CHARACTERS
const QUESTION = 0x3f
/** No byte. */
const NEVER = -1
const QUOTE = 0x22
const BRACE = 0x7d

/**
 * A request that is over is noted, and its line written with those of many others: between two requests the processor has done so much else that the code which
 * writes lines would have to be fetched anew for each. Made of bytes by hand, because an object for each line and its JSON would cost a third of what the request itself does. What seldom changes is written
 * once for a connection, and the second once a second.
 */
export class AccessLog {
  readonly #options: AccessLogOptions
  readonly #time: LineClock
  readonly #noted = new NotedRequests()
  #timer: NodeJS.Timeout | undefined
  /** By status, for requests that ended whole. */
  readonly #whole: (Uint8Array | undefined)[] = []

  constructor(options: AccessLogOptions) {
    this.#options = options
    this.#time = new LineClock(options, '{"event":"request","time":"')
  }

  over(record: RequestRecord): void {
    if (this.#noted.full) this.#write()
    this.#noted.add(record, this.#heading(record))
    if (this.#timer === undefined) this.#timer = setTimeout(this.#due, LINE_DELAY_MS)
  }

  /** Lines of all requests that are over go out now. */
  flush(): void {
    this.#write()
    this.#options.lines.flush()
  }

  readonly #due = (): void => {
    this.#timer = undefined
    this.flush()
  }

  #write(): void {
    const noted = this.#noted
    for (let i = 0; i < noted.count; i++) this.#line(noted.at(i))
    noted.clear()
  }

  #line(request: NotedRequest): void {
    const { heading, fault, holdMs, hopMs, channelMs, answerMs } = request
    const line = this.#options.lines.begin(REST_BYTES + heading.length)
    if (line === undefined) return
    const ms = this.#time.read(request.overAt)
    line.copy(this.#time.second)
    line.threeDigits(ms)
    line.copy(REQUEST_ID)
    line.text(request.id)
    line.copy(heading)
    this.#path(request, line)
    line.copy(this.#ended(request))
    line.number(request.bytesIn)
    line.copy(BYTES_OUT)
    line.number(request.bytesOut)
    line.copy(TOTAL)
    line.tenths(request.totalMs)
    if (holdMs > 0) {
      line.copy(HOLD)
      line.tenths(holdMs)
    }
    if (hopMs >= 0) {
      line.copy(HOP)
      line.tenths(hopMs)
    }
    if (channelMs >= 0) {
      line.copy(CHANNEL)
      line.tenths(channelMs)
    }
    if (answerMs >= 0) {
      line.copy(ORIGIN)
      line.tenths(channelMs > 0 ? answerMs - channelMs : answerMs)
    }
    if (fault !== undefined) {
      line.copy(FAULT)
      line.text(fault)
      line.byte(QUOTE)
    }
    line.byte(BRACE)
    line.end()
  }

  #path({ path, pathFrom, pathTo }: NotedRequest, line: LineBatch): void {
    const { query } = this.#options
    const { paths } = this.#noted
    if (path === undefined && line.visible(paths, pathFrom, pathTo, query ? NEVER : QUESTION)) return
    const text = path ?? Buffer.from(paths.subarray(pathFrom, pathTo)).toString('latin1')
    const from = query ? -1 : text.indexOf('?')
    line.text(jsonText(from < 0 ? text : text.slice(0, from), LOGGED_PATH_CHARACTERS))
  }

  #heading(record: RequestRecord): Uint8Array {
    const { head, heading, protocol, visitor } = record
    if (head === undefined) return this.#newHeading(record)
    const same = heading?.method === head.method && heading.host === head.host && heading.protocol === protocol
    return same && heading.visitor === visitor ? heading.bytes : this.#newHeading(record)
  }

  /** Up to where the path stands. */
  #newHeading(record: RequestRecord): Uint8Array {
    const { visitor, protocol, head } = record
    const who = `","visitor":"${visitor}","protocol":"${protocol}`
    if (head === undefined) return ascii(who)
    const { method, host } = head
    const told = jsonText(method, LOGGED_METHOD_CHARACTERS)
    const bytes = ascii(`${who}${this.#place(host)}","method":"${told}","path":"`)
    record.heading = { visitor, method, host, protocol, bytes }
    return bytes
  }

  #place(host: string): string {
    const { base } = this.#options
    const tunnel = subdomainOf(host, base) ?? nestedName(host, base)?.subdomain
    if (tunnel !== undefined) return `","tunnel":"${tunnel}`
    return host === '' ? '' : `","host":"${jsonText(host, LOGGED_HOST_CHARACTERS)}`
  }

  #ended({ status, end }: NotedRequest): Uint8Array {
    if (end !== 'whole') return ending(status, end)
    const known = this.#whole[status]
    if (known !== undefined) return known
    const bytes = ending(status, end)
    this.#whole[status] = bytes
    return bytes
  }
}

const ending = (status: number, end: RequestEnd): Uint8Array => ascii(`","status":${status},"end":"${end}","bytesIn":`)
