/** One line of JSON for each request that is over. Knows nothing of connections, nor of where the lines go. */
import { subdomainOf } from '@postern/protocol/address'
import { LOGGED_HOST_CHARACTERS, LOGGED_METHOD_CHARACTERS, LOGGED_PATH_CHARACTERS } from '@postern/protocol/limits'
import type { RequestEnd, RequestRecord } from '../public/request-record.ts'
import { isPlain, jsonText } from './json-text.ts'
import type { LineBatch } from './line-batch.ts'
import { LineClock } from './line-clock.ts'

export interface AccessLogOptions {
  /** The base domain: what is below it is named as a tunnel, everything else as a host. */
  readonly base: string
  /** Whether the query is part of what is told; it may hold secrets. */
  readonly query: boolean
  /** Room for a line of at most so many bytes; undefined where there is none. */
  begin(bytes: number): LineBatch | undefined
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
/** All of a line but its heading and its path. */
const REST_BYTES = 512
/** Of one character, escaped. */
const MOST_BYTES = 6
const CUT = '...'
const QUOTE = 0x22
const BRACE = 0x7d

/**
 * Made of bytes by hand, because an object for each line and its JSON would cost a third of what the request itself does. What seldom changes is written
 * once for a connection, and the second once a second.
 */
export class AccessLog {
  readonly #options: AccessLogOptions
  readonly #time: LineClock
  /** By status, for requests that ended whole. */
  readonly #whole: (Uint8Array | undefined)[] = []

  constructor(options: AccessLogOptions) {
    this.#options = options
    this.#time = new LineClock(options, '{"event":"request","time":"')
  }

  over(record: RequestRecord): void {
    const { head, fault, holdMs, hopMs, answerMs, channelMs } = record
    const path = head === undefined ? '' : head.path
    const told = this.#told(path)
    const heading = this.#heading(record)
    const line = this.#options.begin(REST_BYTES + heading.length + MOST_BYTES * told)
    if (line === undefined) return
    const ms = this.#time.read(record.overAt)
    line.copy(this.#time.second)
    line.threeDigits(ms)
    line.copy(REQUEST_ID)
    line.text(record.id)
    line.copy(heading)
    if (isPlain(path, told)) line.text(path, told)
    else line.text(jsonText(path.slice(0, told), told))
    if (told === LOGGED_PATH_CHARACTERS) line.text(CUT)
    line.copy(this.#ended(record))
    line.number(record.bytesIn)
    line.copy(BYTES_OUT)
    line.number(record.bytesOut)
    line.copy(TOTAL)
    line.tenths(record.totalMs)
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
      line.tenths(record.originMs)
    }
    if (fault !== undefined) {
      line.copy(FAULT)
      line.text(fault)
      line.byte(QUOTE)
    }
    line.byte(BRACE)
    line.end()
  }

  /** How many characters of it are told. No slice is made of it: that would be a string which is slow to read. */
  #told(path: string): number {
    const query = this.#options.query ? -1 : path.indexOf('?')
    return Math.min(query < 0 ? path.length : query, LOGGED_PATH_CHARACTERS)
  }

  #heading(record: RequestRecord): Uint8Array {
    const { head, heading, protocol } = record
    if (head === undefined) return this.#newHeading(record)
    const fits = heading?.method === head.method && heading.host === head.host && heading.protocol === protocol
    return fits ? heading.bytes : this.#newHeading(record)
  }

  /** Up to where the path stands. */
  #newHeading(record: RequestRecord): Uint8Array {
    const { visitor, protocol, head } = record
    const who = `","visitor":"${visitor}","protocol":"${protocol}`
    if (head === undefined) return ascii(who)
    const { method, host } = head
    const told = jsonText(method, LOGGED_METHOD_CHARACTERS)
    const bytes = ascii(`${who}${this.#place(host)}","method":"${told}","path":"`)
    record.heading = { method, host, protocol, bytes }
    return bytes
  }

  #place(host: string): string {
    const tunnel = subdomainOf(host, this.#options.base)
    if (tunnel !== undefined) return `","tunnel":"${tunnel}`
    return host === '' ? '' : `","host":"${jsonText(host, LOGGED_HOST_CHARACTERS)}`
  }

  #ended({ status, end }: RequestRecord): Uint8Array {
    if (end !== 'whole') return ending(status, end)
    const known = this.#whole[status]
    if (known !== undefined) return known
    const bytes = ending(status, end)
    this.#whole[status] = bytes
    return bytes
  }
}

const ending = (status: number, end: RequestEnd): Uint8Array => ascii(`","status":${status},"end":"${end}","bytesIn":`)
