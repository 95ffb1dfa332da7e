/** Where the local system of a checkout is while it runs: written by its start, read by whoever administers it. Holds no secret. */
import * as z from 'zod/mini'
import { readJsonFile } from './json-file.ts'

const localSystemSchema = z.strictObject({
  version: z.literal(1),
  /** Origin of the control API: `http://localhost:8080`. */
  server: z.string(),
  /** The embedded table. */
  table: z.strictObject({ endpoint: z.string(), name: z.string() }),
})

export type LocalSystemFile = Omit<z.infer<typeof localSystemSchema>, 'version'>

/**
 * @param path for the error
 * @throws TunnelFault `config-invalid`
 */
export function parseLocalSystem(text: string, path: string): LocalSystemFile {
  const { server, table } = readJsonFile(localSystemSchema, text, path)
  return { server, table }
}

export const localSystemText = ({ server, table }: LocalSystemFile): string =>
  `${JSON.stringify({ version: 1, server, table }, undefined, 2)}\n`
