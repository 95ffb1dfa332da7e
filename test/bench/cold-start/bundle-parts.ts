/** What a bundle is made of: its packages by group, and each group bundled alone, the same way, for what the bundle uses of it. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildOptions, build, transform } from 'esbuild'

/** The rest of the packages are small and counted together. */
const GROUPS: readonly (readonly [name: string, packages: RegExp])[] = [
  ['AWS SDK', /^@(aws-sdk|smithy|aws)\//],
  ['zod', /^zod$/],
  ['Hono', /^hono$/],
  ['other packages', /./],
]
export const OURS = 'our own code'

export interface BundleParts {
  /** Bytes of the minified bundle by group, ours among them. */
  readonly bytes: ReadonlyMap<string, number>
  /** The text of each group's own bundle; ours is none of them: it needs all the others. */
  readonly alone: ReadonlyMap<string, string>
}

/** @param options of a bundle of one file */
export async function bundleParts(root: string, options: BuildOptions): Promise<BundleParts> {
  const whole = await build({ ...options, absWorkingDir: root, write: false, metafile: true, outfile: 'whole.mjs' })
  const inputs = Object.values(whole.metafile.outputs)[0]!.inputs
  const bytes = new Map<string, number>()
  const used: { group: string; line: string }[] = []
  for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
    const group = groupOf(packageIn(path))
    bytes.set(group, (bytes.get(group) ?? 0) + bytesInOutput)
    if (group !== OURS || bytesInOutput === 0) continue
    // Without types, which are imported but not in the bundle.
    const { code } = await transform(await readFile(join(root, path), 'utf8'), { loader: 'ts' })
    for (const [specifier, names] of importsOf(code)) {
      const renamed = names.map((name, n) => `${name} as _${used.length}_${n}`)
      used.push({ group: groupOf(packageOf(specifier)), line: `export { ${renamed.join(', ')} } from '${specifier}'` })
    }
  }
  const alone = new Map<string, string>()
  for (const [group] of GROUPS) {
    const lines = used.filter((each) => each.group === group).map(({ line }) => line)
    const { entryPoints: _, ...same } = options
    const stdin = { contents: lines.join('\n'), resolveDir: join(root, 'protocol') }
    const { outputFiles } = await build({ ...same, stdin, absWorkingDir: root, write: false, outfile: 'alone.mjs' })
    alone.set(group, outputFiles[0]!.text)
  }
  return { bytes, alone }
}

const groupOf = (name: string | undefined): string =>
  name === undefined ? OURS : GROUPS.find(([, packages]) => packages.test(name))![0]

/** The package that a file is part of; undefined for ours. */
const packageIn = (path: string): string | undefined => {
  const at = path.lastIndexOf('node_modules/')
  return at < 0 ? undefined : packageOf(path.slice(at + 'node_modules/'.length))
}
const packageOf = (specifier: string): string => /^(@[^/]+\/)?[^/]+/.exec(specifier)![0]

/** What a module imports from packages of others; the code is in the form that esbuild prints. */
function* importsOf(code: string): Generator<[specifier: string, names: string[]]> {
  for (const [, clause = '', specifier = ''] of code.matchAll(/^import ([^"]+?) from "([^".][^"]*)";$/gms)) {
    if (specifier.startsWith('node:') || specifier.startsWith('@postern/')) continue
    const namespace = /^\* as (\w+)$/.exec(clause)?.[1]
    if (namespace === undefined) {
      const braced = /\{([^}]*)\}/.exec(clause)?.[1] ?? ''
      const names = braced.split(',').map((name) => name.trim().split(' as ')[0]!)
      yield [specifier, [...(/^\w/.test(clause) ? ['default'] : []), ...names.filter((name) => name !== '')]]
    } else {
      const members = code.matchAll(new RegExp(`\\b${namespace}\\.(\\w+)`, 'g'))
      yield [specifier, [...new Set(Array.from(members, ([, name = '']) => name))]]
    }
  }
}
