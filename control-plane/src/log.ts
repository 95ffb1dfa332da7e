/** One line of JSON for each request. Knows what must not stand in it. */

export interface LogEntry {
  level: 'info' | 'warn' | 'error'
  message: string
  requestId: string
  [field: string]: string | number | undefined
}

export type Log = (entry: LogEntry) => void

/** Longer paths are not ours. */
const LONGEST_TEXT = 200
/** Some thirty frames. */
const LONGEST_STACK = 4000
const TOKEN = /pst_[ua]?[0-9A-Za-z]*/g

/** `text` without anything that looks like a token: people paste them into every field there is. */
export const masked = (text: string, longest = LONGEST_TEXT): string =>
  text.slice(0, longest).replaceAll(TOKEN, 'pst_[secret]')

/** A log that writes lines of JSON to `stream`, with the time of `now`. */
export const jsonLog =
  (stream: { write(line: string): unknown }, now: () => number): Log =>
  (entry) =>
    stream.write(`${JSON.stringify({ time: new Date(now()).toISOString(), ...entry })}\n`)

/** An error with its causes, as one line, without stack: `TunnelFault: … ← TimeoutError: …`. */
export function errorLine(error: unknown): string {
  const parts: string[] = []
  for (let at: unknown = error; at !== undefined && parts.length < 5; at = at instanceof Error ? at.cause : undefined) {
    parts.push(at instanceof Error ? `${at.name}: ${at.message}` : String(at))
  }
  return masked(parts.join(' ← '))
}

/** Where an error that nobody foresaw came from, masked; undefined if it is none. */
export const stackOf = (error: unknown): string | undefined =>
  error instanceof Error ? masked(error.stack ?? '', LONGEST_STACK) : undefined
