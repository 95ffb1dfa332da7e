/** npm itself, which publishes to the registry at the address it is given and installs from it. Knows nothing of what lies between. Arguments: address, folder. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { check as checkWithin, report } from '../told-checks.mjs'

const [base, folder] = process.argv.slice(2)
const PACKAGES = 20
/** One run of npm takes a second, and a check has up to 22 of them. */
const check = (name, work) => checkWithin(name, work, 120_000)
const LARGE_BYTES = 24 * 1024 * 1024
const names = Array.from({ length: PACKAGES }, (_, index) =>
  index % 4 === 0 ? `@suite/part-${index}` : `suite-part-${index}`,
)

/** Whatever npm this program was started by must not speak to this one. */
const inherited = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name))
const env = {
  ...Object.fromEntries(inherited),
  npm_config_userconfig: join(folder, 'npmrc'),
  npm_config_cache: join(folder, 'cache'),
  npm_config_registry: `${base}/`,
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_update_notifier: 'false',
  npm_config_noproxy: '*',
  npm_config_fetch_retries: '0',
  // The C library knows nothing of *.localhost by itself.
  NODE_OPTIONS: `--require ${fileURLToPath(new URL('../localhost-names.cjs', import.meta.url))}`,
}
const npm = async (cwd, ...args) => (await promisify(execFile)('npm', args, { cwd, env, maxBuffer: 1 << 26 })).stdout

await writeFile(join(folder, 'npmrc'), `//${new URL(base).host}/:_authToken=somebody\n`)

/** @returns the folder of a new package */
async function make(name, { dependencies = {}, bytes = 2000 } = {}) {
  const home = join(folder, 'packages', name)
  await mkdir(home, { recursive: true })
  await writeFile(join(home, 'package.json'), JSON.stringify({ name, version: '1.0.0', dependencies }))
  await writeFile(join(home, 'content.bin'), randomBytes(bytes))
  return home
}

await check(`${PACKAGES} packages and one of 24 MiB are published`, async () => {
  for (const name of names) await npm(await make(name), 'publish')
  const dependencies = Object.fromEntries(names.map((name) => [name, '^1.0.0']))
  await npm(await make('suite-large', { bytes: LARGE_BYTES }), 'publish')
  await npm(await make('suite-all', { dependencies: { ...dependencies, 'suite-large': '1.0.0' } }), 'publish')
})
const user = join(folder, 'user')
await mkdir(user, { recursive: true })
await writeFile(join(user, 'package.json'), '{"name":"user","version":"1.0.0"}')
await check('npm install brings them all, byte for byte', async () => {
  await npm(user, 'install', 'suite-all')
  for (const name of [...names, 'suite-large', 'suite-all']) {
    const [sent, came] = await Promise.all(
      [join(folder, 'packages', name), join(user, 'node_modules', name)].map((home) =>
        readFile(join(home, 'content.bin')),
      ),
    )
    assert.ok(sent.equals(came), name)
  }
})
await check('every address in the lock file is the one that was asked', async () => {
  const { packages } = JSON.parse(await readFile(join(user, 'package-lock.json'), 'utf8'))
  const resolved = Object.entries(packages).flatMap(([path, { resolved }]) =>
    path === '' ? [] : [new URL(resolved).host],
  )
  assert.deepEqual([resolved.length, ...new Set(resolved)], [PACKAGES + 2, new URL(base).host])
})
await check('npm ci brings them again, without a cache', async () => {
  await npm(user, 'ci', '--cache', join(folder, 'other-cache'))
  const large = await readFile(join(user, 'node_modules', 'suite-large', 'content.bin'))
  const sent = await readFile(join(folder, 'packages', 'suite-large', 'content.bin'))
  assert.equal(createHash('sha256').update(large).digest('hex'), createHash('sha256').update(sent).digest('hex'))
})
await check('a second publication of the same version is refused', async () => {
  await assert.rejects(
    npm(join(folder, 'packages', 'suite-all'), 'publish'),
    /EPUBLISHCONFLICT|E409|previously published/,
  )
})
await check('a package that is not there is not found', async () => {
  await assert.rejects(npm(user, 'view', 'suite-missing'), /E404/)
})
report()
