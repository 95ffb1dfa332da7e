/** `curl --ntlm`, which signs a connection in, before a server that knows its users by pyspnego. */
import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'vitest'
import { runCommand, tryCommand } from '../support/run-command.ts'
import { Checks } from './checks.ts'
import { debianPackages, pythonPackages, suitePython } from './install.ts'
import { PYTHON_FILES, pythonEnv } from './python-suite.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'
import { startServer } from './server-process.ts'
import type { Suite } from './suite.ts'
import { visit } from './visit.ts'

const DEADLINE_MS = 60_000
const AT_ONCE = 20

const suite: Suite = {
  name: 'NTLM',
  checks: 9,
  async install() {
    const missing = (await debianPackages(['curl'], ['curl'])) ?? (await pythonPackages())
    if (missing !== undefined) return missing
    const { output } = await tryCommand('curl', ['--version'], { deadlineMs: DEADLINE_MS })
    return /\bNTLM\b/.test(output) ? undefined : 'this curl is built without NTLM'
  },
  async run(way, folder) {
    const checks = new Checks()
    await writeFile(join(folder, 'users'), 'DOM:ann:first pass\nDOM:bob:second pass\n')
    const server = await startServer(await suitePython(), [join(PYTHON_FILES, 'ntlm_server.py')], {
      env: pythonEnv({ NTLM_USER_FILE: join(folder, 'users') }),
    })
    try {
      const url = await way.reach(server.port)
      const { host, port } = new URL(url)
      const curl = async (...args: string[]): Promise<string> => {
        const quiet = ['-q', '-s', '-S', '--noproxy', '*', '--connect-to', `${host}:127.0.0.1:${port}`]
        return (await runCommand('curl', [...quiet, ...args], { deadlineMs: DEADLINE_MS })).stdout
      }
      const as = (user: 'ann' | 'bob') => ['--ntlm', '-u', `DOM\\${user}:${user === 'ann' ? 'first' : 'second'} pass`]
      const status = ['-o', '/dev/null', '-w', '%{http_code}\n']

      await checks.that('without a sign-in it is asked for', async () => (await curl(...status, `${url}/`)) === '401\n')
      await checks.that('a wrong password is refused', async () => {
        return (await curl(...status, '--ntlm', '-u', 'DOM\\ann:wrong', `${url}/`)) === '401\n'
      })
      await checks.that('a sign-in in three steps on one connection', async () => {
        const text = await curl(...as('ann'), `${url}/`)
        return /^GET by DOM\\ann, request \d+ of its connection$/.test(text)
      })
      await checks.that('a signed-in connection stays so for further requests', async () => {
        const [, first, second] = /^GET by DOM\\ann, request (\d+) .*?GET by DOM\\ann, request (\d+) /.exec(
          await curl(...as('ann'), `${url}/a`, `${url}/b`),
        )!
        return Number(second) === Number(first) + 1
      })
      await checks.that('a body of 1 MiB behind the sign-in', async () => {
        const body = randomBytes(1024 * 1024)
        await writeFile(join(folder, 'body'), body)
        const sum = await curl(...as('ann'), '--data-binary', `@${join(folder, 'body')}`, `${url}/sum`)
        return sum === createHash('sha256').update(body).digest('hex')
      })
      await checks.that('--anyauth finds out by itself', async () => {
        return (await curl('--anyauth', '-u', 'DOM\\bob:second pass', `${url}/`)).startsWith('GET by DOM\\bob,')
      })
      await checks.that(`${AT_ONCE} visitors sign in at once, each as itself`, async () => {
        const users = Array.from({ length: AT_ONCE }, (_, index) => (index % 2 === 0 ? 'ann' : 'bob'))
        const texts = await Promise.all(users.map((user) => curl(...as(user), `${url}/a`, `${url}/b`)))
        return texts.every((text, index) => text.split(`GET by DOM\\${users[index]},`).length === 3)
      })
      await checks.that('nobody else has a signed-in connection, beside open ones and afterwards', async () => {
        const keepsOn = curl(...as('ann'), ...Array.from({ length: 30 }, (_, index) => `${url}/${index}`))
        const others = []
        for (let index = 0; index < 60; index++) others.push((await visit(`${url}/`)).status)
        await keepsOn
        others.push((await visit(`${url}/`)).status)
        return others.every((answered) => answered === 401)
      })
      await checks.that('what needs no sign-in is served beside', async () => {
        const text = await curl(...as('ann'), `${url}/open`, `${url}/`)
        return text.startsWith('openGET by DOM\\ann')
      })
      return checks.outcomes
    } finally {
      await server.stop()
    }
  },
}

test('NTLM: curl signs its connection in through the tunnel, and nobody else is signed in by it', (context) =>
  sameThroughTunnel(suite, context))
