/** Looks for programs on this machine. Installs nothing. */
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** Debian keeps servers where an ordinary user's PATH does not look. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin']

/** The whole path of `program`, or undefined. */
export async function installed(program: string): Promise<string | undefined> {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_FOLDERS]) {
    const path = join(folder, program)
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (folder !== '' && found) return path
  }
  return undefined
}
