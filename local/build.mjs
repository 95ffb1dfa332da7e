/** Bundles what is published and deployed into each room's dist/. `node local/build.mjs [room …]`; knows nothing of types, which `tsc -b` judges. */
import { readFileSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { LAMBDA_BUNDLE } from '../control-plane/bundle.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Bundled CommonJS (pino and others) asks for Node's own modules by `require`, which an ES module does not have. */
const REQUIRE = {
  js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
}

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  // ES modules where a package has them: only those can be shaken down to what is used.
  mainFields: ['module', 'main'],
  sourcemap: true,
  legalComments: 'none',
  logLevel: 'warning',
}

const bundles = {
  // What is published: its dependencies are installed beside it, all else (protocol and what that uses) is inside.
  agent: {
    ...common,
    entryPoints: { main: 'agent/src/main.ts', connect: 'agent/src/connect.ts' },
    outdir: 'agent/dist',
    splitting: true,
    chunkNames: 'chunk-[hash]',
    external: Object.keys(JSON.parse(readFileSync(join(root, 'agent/package.json'), 'utf8')).dependencies),
  },
  // The SDK of AWS is in a chunk of its own, which one command loads.
  admin: {
    ...common,
    entryPoints: { main: 'admin/src/main.ts' },
    outdir: 'admin/dist',
    splitting: true,
    chunkNames: 'chunk-[hash]',
    external: Object.keys(JSON.parse(readFileSync(join(root, 'admin/package.json'), 'utf8')).dependencies),
    banner: REQUIRE,
  },
  // What runs in the container: one file, no node_modules beside it. Not minified, so that stack traces stay readable.
  'data-plane': {
    ...common,
    entryPoints: { main: 'data-plane/src/main.ts' },
    outdir: 'data-plane/dist',
    banner: REQUIRE,
  },
  // What runs in Lambda: its size is paid for at every cold start.
  'control-plane': {
    ...LAMBDA_BUNDLE,
    absWorkingDir: root,
    outdir: 'control-plane/dist',
    sourcemap: true,
    logLevel: 'warning',
  },
}

const asked = process.argv.slice(2)
const unknown = asked.filter((room) => !Object.hasOwn(bundles, room))
if (unknown.length > 0) {
  console.error(`no bundle of ${unknown.join(', ')}; there are ${Object.keys(bundles).join(', ')}`)
  process.exit(2)
}

await Promise.all(
  Object.entries(bundles)
    .filter(([room]) => asked.length === 0 || asked.includes(room))
    .map(async ([room, options]) => {
      const started = performance.now()
      const { outputFiles } = await build({ ...options, write: false })
      await install(join(root, room, 'dist'), outputFiles)
      const took = Math.round(performance.now() - started)
      for (const { path, contents } of outputFiles.filter((file) => file.path.endsWith('.js'))) {
        const size = `${(contents.length / 1024).toFixed(0)} KiB`
        console.error(`${relative(root, path).padEnd(36)} ${size.padStart(9)} ${String(took).padStart(5)} ms`)
      }
    }),
)

/**
 * Each file appears whole: tests of another terminal may be starting these very bundles. What an earlier build left goes,
 * or it would be published too; the types beside the bundles belong to `tsc -b`.
 */
async function install(folder, files) {
  await mkdir(folder, { recursive: true })
  // Chunks before the entries that import them.
  const chunksFirst = files.toSorted((a, b) => Number(isChunk(b)) - Number(isChunk(a)))
  for (const { path, contents } of chunksFirst) {
    const unfinished = `${path}.${process.pid}.new`
    await writeFile(unfinished, contents)
    await rename(unfinished, path)
  }
  const fresh = new Set(files.map(({ path }) => basename(path)))
  const stale = (await readdir(folder)).filter((name) => /\.js(\.map)?$/.test(name) && !fresh.has(name))
  await Promise.all(stale.map((name) => rm(join(folder, name), { force: true })))
}

function isChunk({ path }) {
  return basename(path).startsWith('chunk-')
}
