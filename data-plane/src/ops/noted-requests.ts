/** Requests that are over and whose lines are not written yet, in memory that is used again and again. Knows nothing of how a line looks. */
import type { FaultCode } from '@postern/protocol/fault'
import { LOGGED_PATH_CHARACTERS } from '@postern/protocol/limits'
import type { RequestEnd, RequestRecord } from '../proxy/request-record.ts'

/** So many lines are written in one go. */
const MOST = 128
/** Of all their paths; what does not fit any more is written first. */
const PATH_BYTES = 16 * 1024
const NOTHING = new Uint8Array()

/** What of a record goes into its line. */
export class NotedRequest {
  id = ''
  heading: Uint8Array = NOTHING
  /** In bytes, [pathFrom, pathTo) of `paths`; of those that do not stand in bytes, or are too long, `path`. */
  pathFrom = 0
  pathTo = 0
  path: string | undefined = undefined
  status = 0
  end: RequestEnd = 'whole'
  fault: FaultCode | undefined = undefined
  bytesIn = 0
  bytesOut = 0
  // Halves, so that V8 keeps them as doubles from the beginning.
  overAt = 0.5
  totalMs = 0.5
  holdMs = 0.5
  hopMs = 0.5
  channelMs = 0.5
  answerMs = 0.5
}

export class NotedRequests {
  /** The paths of all. */
  readonly paths = new Uint8Array(PATH_BYTES)
  count = 0
  readonly #requests = Array.from({ length: MOST }, () => new NotedRequest())
  #pathBytes = 0

  /** There may be no room for another one. */
  get full(): boolean {
    return this.count === MOST || this.#pathBytes > PATH_BYTES - LOGGED_PATH_CHARACTERS
  }

  at(index: number): NotedRequest {
    return this.#requests[index]!
  }

  clear(): void {
    this.count = 0
    this.#pathBytes = 0
  }

  /** Whoever adds has looked whether it is full. */
  add(record: RequestRecord, heading: Uint8Array): void {
    const noted = this.#requests[this.count++]!
    noted.id = record.id
    noted.heading = heading
    noted.status = record.status
    noted.end = record.end
    noted.fault = record.fault
    noted.bytesIn = record.bytesIn
    noted.bytesOut = record.bytesOut
    noted.overAt = record.overAt
    noted.totalMs = record.totalMs
    noted.holdMs = record.holdMs
    noted.hopMs = record.hopMs
    noted.channelMs = record.channelMs
    noted.answerMs = record.answerMs
    noted.path = undefined
    noted.pathFrom = this.#pathBytes
    noted.pathTo = this.#pathBytes
    const { head } = record
    if (head === undefined) return
    const { pathBuffer, pathFrom = 0, pathTo = 0 } = head
    const length = pathTo - pathFrom
    if (pathBuffer === undefined || length > LOGGED_PATH_CHARACTERS) {
      noted.path = head.path
      return
    }
    const { paths } = this
    const to = this.#pathBytes
    for (let i = 0; i < length; i++) paths[to + i] = pathBuffer[pathFrom + i]!
    this.#pathBytes = to + length
    noted.pathTo = to + length
  }
}
