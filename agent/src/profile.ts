/** The file that holds a server and the token for it. Knows nothing of flags or variables. */
import { TunnelFault } from '@postern/protocol/fault'
import { checkToken, Secret } from '@postern/protocol/ticket'
import * as z from 'zod/mini'

export interface Profile {
  readonly server: string
  /** Good for `server` alone; it must never be sent anywhere else. */
  readonly token: Secret
}

const profileSchema = z.strictObject({ version: z.literal(1), server: z.string(), token: z.string() })

/**
 * @param text the file: JSON `{"version": 1, "server", "token"}`
 * @param path for the error
 * @throws TunnelFault `config-invalid`; nothing of the token is in it
 */
export function parseProfile(text: string, path: string): Profile {
  const parsed = profileSchema.safeParse(readJson(text, path))
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`)
    throw new TunnelFault('config-invalid', `${path}: ${problems.join('; ')}.`)
  }
  const { server, token } = parsed.data
  checkToken(token)
  return { server, token: new Secret(token) }
}

function readJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The syntax error would quote the file, and with it the token.
    throw new TunnelFault('config-invalid', `${path} is not JSON.`)
  }
}
