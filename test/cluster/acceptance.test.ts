/** `npm run accept -- --local`: the checks of a first deployment against the local system with several nodes. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ApiClient } from '@postern/protocol/client'
import { Secret } from '@postern/protocol/ticket'
import { afterEach, expect, test } from 'vitest'
import { runAcceptance } from '../accept/acceptance.ts'
import { LocalDeployment } from '../accept/local-deployment.ts'
import { tryCommand } from '../support/run-command.ts'

const MAIN = fileURLToPath(new URL('../accept/main.ts', import.meta.url))
const DEADLINE_MS = 300_000

const undo: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const step of undo.splice(0)) await step()
})

test(
  'the command replaces every node, writes a report, and exits 0',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-accept-'))
    undo.push(() => rm(folder, { recursive: true, force: true }))
    const path = join(folder, 'report.md')
    const args = ['--import', import.meta.resolve('tsx'), MAIN, '--local', '--report', path]
    const { code, output } = await tryCommand(process.execPath, args, { deadlineMs: DEADLINE_MS })
    expect([code, output]).toEqual([0, expect.stringContaining('the report is in')])
    const report = await readFile(path, 'utf8')
    const verdicts = [...report.matchAll(/^\| (.+?) \| \*\*(.+?)\*\* \| (.+?) \|/gm)].map(([, ...row]) => row)
    expect(verdicts).toEqual([
      ['PROXY v2 for IPv6 clients', 'not measurable', expect.any(String)],
      ['HealthyHostCount counts the nodes of all zones', 'not measurable', expect.any(String)],
      [
        'No request fails across a deployment',
        'passed',
        expect.stringMatching(/^0 of [1-9]\d{2,} requests failed while 2 nodes were replaced\.$/),
      ],
      [
        'PROXY header on health checks at another port',
        'passed',
        expect.stringMatching(/^All 2 new nodes .* begin with a PROXY header\.$/),
      ],
      ['Deregistration comes before SIGTERM', 'passed', expect.stringMatching(/^2 nodes;/)],
      [
        'New connections after deregistration are served',
        'passed',
        expect.stringMatching(/^None of [1-9]\d+ new connections failed\. \d+ came to a node after its deregistration/),
      ],
      ['A revoked token’s tunnel ends within 5 s', 'passed', expect.stringMatching(/cut after .* ended after /)],
    ])
    expect(output + report).not.toMatch(/pst_\w/)
  },
  DEADLINE_MS,
)

test(
  'an interrupted run leaves no account, no token and no tunnel',
  async () => {
    const deployment = await LocalDeployment.start()
    undo.push(() => deployment.stop())
    const { server } = deployment
    const api = new ApiClient({ server, token: new Secret(deployment.token), program: 'test/1' })
    const interruption = new AbortController()
    const reason = new Error('interrupted')
    let made = ''
    const run = runAcceptance({
      ...{ deployment, api, server, signal: interruption.signal },
      progress(line) {
        made ||= /^making account ([^\s,]+)/.exec(line)?.[1] ?? ''
        if (line.startsWith('every node is replaced')) interruption.abort(reason)
      },
    })
    await expect(run).rejects.toBe(reason)
    expect(made).toMatch(/^accept-/)
    await expect(api.call('getUser', { params: { username: made } })).rejects.toMatchObject({ code: 'not-found' })
    const { items } = await api.call('listTunnels', {})
    expect(items).toEqual([])
  },
  DEADLINE_MS,
)
