/** A file of JSON, judged by a schema. What is wrong with it is said without quoting it: it may hold a token. */
import type * as z from 'zod/mini'
import { describeIssues } from '../api/issues.ts'
import { TunnelFault } from '../fault.ts'

/** @throws TunnelFault `config-invalid`, which names the file and the field */
export function readJsonFile<T>(schema: z.ZodMiniType<T>, text: string, path: string): T {
  const parsed = schema.safeParse(parseJson(text, path))
  if (parsed.success) return parsed.data
  throw new TunnelFault('config-invalid', `${path}: ${describeIssues(parsed.error.issues)}`)
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The syntax error would quote the file.
    throw new TunnelFault('config-invalid', `${path} is not JSON.`)
  }
}
