/** The data plane's image without Docker: what its Dockerfile copies, where it copies it to, as whom and how it is started. */
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../../data-plane/', import.meta.url))

export interface UnpackedImage {
  /** The image's working directory, which nobody may write. */
  readonly workdir: string
  /** Program and arguments. */
  readonly command: readonly string[]
  readonly user: number
  /** Source (below data-plane/) and target of every file that is copied. */
  readonly copied: readonly (readonly [from: string, to: string])[]
  readonly from: string
  /** Instructions other than those. */
  readonly others: readonly string[]
  remove(): void
}

/** @throws Error if the Dockerfile does something that is not understood here */
export function unpackImage(): UnpackedImage {
  const instructions = readFileSync(join(FOLDER, 'Dockerfile'), 'utf8')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => /^(\w+)\s+(.*)$/.exec(line)!)
    .map(([, name, rest]) => ({ name: name!, rest: rest! }))
  const of = (name: string): string[] => instructions.filter((one) => one.name === name).map(({ rest }) => rest)
  const only = (name: string): string => {
    const [value, ...more] = of(name)
    if (value === undefined || more.length > 0) throw new Error(`not one ${name} in the Dockerfile`)
    return value
  }
  const workdir = mkdtempSync(join(tmpdir(), 'postern-image-'))
  const copied = of('COPY').map((rest) => rest.split(/\s+/) as [string, string])
  for (const [from, to] of copied) {
    const target = join(workdir, to)
    if (relative(workdir, target).includes('/')) throw new Error(`${to} is no file of ${only('WORKDIR')}`)
    copyFileSync(join(FOLDER, from), target)
    chmodSync(target, 0o444)
  }
  chmodSync(workdir, 0o555)
  return {
    workdir,
    command: JSON.parse(only('CMD')),
    user: Number(only('USER').split(':')[0]),
    copied,
    from: only('FROM'),
    others: instructions
      .map(({ name }) => name)
      .filter((name) => !['FROM', 'WORKDIR', 'COPY', 'USER', 'CMD'].includes(name)),
    remove() {
      chmodSync(workdir, 0o755)
      rmSync(workdir, { recursive: true })
    },
  }
}
