/** Bundles what is published and deployed into each room's dist/. `node local/build.mjs [room …]`; knows nothing of types, which `tsc -b` judges. */
import { readFileSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

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
  metafile: true,
}

/** Stack traces and `error.name` must stay readable. */
const small = { minify: true, keepNames: true }

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
  // What runs in the container: one file, no node_modules beside it.
  'data-plane': {
    ...common,
    ...small,
    entryPoints: { main: 'data-plane/src/main.ts' },
    outdir: 'data-plane/dist',
    banner: REQUIRE,
  },
  // What runs in Lambda: its size is paid for at every cold start.
  'control-plane': {
    ...common,
    ...small,
    entryPoints: { lambda: 'control-plane/src/lambda.ts' },
    outdir: 'control-plane/dist',
    banner: REQUIRE,
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
      await removeBundles(room)
      const { metafile } = await build(options)
      const took = Math.round(performance.now() - started)
      for (const file of Object.keys(metafile.outputs).filter((name) => name.endsWith('.js'))) {
        const { size } = await stat(join(root, file))
        console.error(`${file.padEnd(36)} ${(size / 1024).toFixed(0).padStart(6)} KiB ${String(took).padStart(5)} ms`)
      }
    }),
)

/** A chunk of an earlier build would be published too. The types beside it belong to `tsc -b`. */
async function removeBundles(room) {
  const folder = join(root, room, 'dist')
  const files = await readdir(folder).catch(() => [])
  const stale = files.filter((name) => /\.js(\.map)?$/.test(name))
  await Promise.all(stale.map((name) => rm(join(folder, name), { force: true })))
}
