/** Reads events out of a node's log: lines of pino. */
import * as z from 'zod/mini'
import type { NodeEvent } from './deployment.ts'

const lineSchema = z.object({ time: z.number(), msg: z.string(), why: z.optional(z.string()) })

/** Undefined: the line is no event of a node's end. */
export function nodeEventOf(node: string, line: string): NodeEvent | undefined {
  const read = lineSchema.safeParse(parseJson(line))
  if (!read.success) return undefined
  const { time: at, msg, why } = read.data
  if (msg === 'stopping' && why === 'SIGTERM') return { node, kind: 'sigterm', at, after: at }
  if (msg === 'stopped') return { node, kind: 'stopped', at, after: at }
  return undefined
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    // Crashes and metrics stand in the same log.
    return undefined
  }
}
