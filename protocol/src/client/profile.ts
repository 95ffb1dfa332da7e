/** The file that holds a server and the token for it, as one program writes it and another reads it. Knows nothing of flags or variables. */
import * as z from 'zod/mini'
import { Secret } from '../ticket/secret.ts'
import { checkToken } from '../ticket/token.ts'
import { readJsonFile } from './json-file.ts'

export interface Profile {
  readonly server: string
  /** Good for `server` alone; it must never be sent anywhere else. */
  readonly token: Secret
}

const profileSchema = z.strictObject({ version: z.literal(1), server: z.string(), token: z.string() })

/**
 * @param text the file: JSON `{"version": 1, "server", "token"}`
 * @param path for the error
 * @throws TunnelFault `config-invalid` or `token-malformed`; nothing of the token is in it
 */
export function parseProfile(text: string, path: string): Profile {
  const { server, token } = readJsonFile(profileSchema, text, path)
  checkToken(token)
  return { server, token: new Secret(token) }
}

/** The file's text. It holds the token: nobody but its owner may read it. */
export const profileText = ({ server, token }: Profile): string =>
  `${JSON.stringify({ version: 1, server, token: token.reveal() }, undefined, 2)}\n`
