/** Writes a profile so that nobody else can read it, and never half. Knows nothing of what is in it. */
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Profile, profileText } from '@postern/protocol/client'
import { TunnelFault } from '@postern/protocol/fault'

export interface ProfileFile {
  /** Puts `profile` in the place of whatever is there. */
  keep(profile: Profile): Promise<void>
  /** Takes the preparations back. Harmless after `keep`, and when repeated. */
  discard(): Promise<void>
}

/**
 * Makes sure that a profile can be written, before there is a token that must not be lost.
 * @throws TunnelFault `config-invalid`
 */
export async function prepareProfile(path: string): Promise<ProfileFile> {
  const unfinished = `${path}.${process.pid}.new`
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    // Not over a file that is there: its mode would stay as it is.
    await rm(unfinished, { force: true })
    const file = await open(unfinished, 'wx', 0o600)
    return {
      async keep(profile) {
        try {
          await file.writeFile(profileText(profile))
          await file.close()
          await rename(unfinished, path)
        } catch (cause) {
          throw unwritable(path, cause)
        }
      },
      async discard() {
        await file.close()
        await rm(unfinished, { force: true })
      },
    }
  } catch (cause) {
    throw unwritable(path, cause)
  }
}

const unwritable = (path: string, cause: unknown): TunnelFault =>
  new TunnelFault('config-invalid', `The profile ${path} cannot be written.`, { cause })
