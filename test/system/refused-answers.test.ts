/** Answers of local servers that two readers could read in two ways: 502, the agent's terminal names rule, RFC and line, and curl and nginx do what the table says. */
import { spawnSync } from 'node:child_process'
import { RULES } from '@postern/protocol/http'
import { NOTICES_BURST } from '@postern/protocol/limits'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fieldOf, statusOf } from '../support/http-message.ts'
import { NGINX, type RunningNginx, startNginx } from '../support/nginx.ts'
import { tryCommand } from '../support/run-command.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type RunningAgent, type System, startSystem } from '../support/start-system.ts'
import { ask, eventually } from '../support/visits.ts'
import { REFUSED_ANSWERS, type RefusedAnswer } from './refused-answers.ts'

let system: System
let origin: ScriptedOrigin
/** As many as are needed, since only NOTICES_BURST notices reach an agent at once. */
let agents: RunningAgent[] = []
let nginx: RunningNginx | undefined

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start()
  const names = Array.from(
    { length: Math.ceil(REFUSED_ANSWERS.length / NOTICES_BURST) },
    (_, index) => `refused-${index}`,
  )
  agents = await Promise.all(names.map((subdomain) => system.startAgent({ subdomain, target: origin.port })))
  if (NGINX === undefined) return
  const proxied = `proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://127.0.0.1:${origin.port};`
  nginx = await startNginx({ server: `location / { ${proxied} }` })
})

afterAll(async () => {
  await nginx?.stop()
  await system?.stop()
  await origin?.stop()
})

const hasCurl = spawnSync('curl', ['--version']).status === 0

/** The local server gives this answer to each request, and ends the connection. */
function play({ answer }: RefusedAnswer): void {
  origin.play(async ({ connection, whole }) => {
    await whole()
    connection.end(answer)
  })
}

/** Whether curl gets the content from there. */
async function takes(port: number): Promise<boolean> {
  const { code, stdout } = await tryCommand('curl', ['-sS', '-f', '-m', '20', `http://127.0.0.1:${port}/`], {
    deadlineMs: 30_000,
  })
  return code === 0 && stdout.trim() === 'good'
}

describe.each(REFUSED_ANSWERS)('$title ($others)', (row) => {
  test('is answered 502, and the terminal says why', async () => {
    play(row)
    const agent = agents[REFUSED_ANSWERS.indexOf(row) % agents.length]!
    const path = `/${row.title.replaceAll(' ', '-')}`
    const refused = await ask(system, `GET ${path} HTTP/1.1\r\nHost: ${agent.host}\r\n\r\n`)
    expect([statusOf(refused), fieldOf(refused, 'tunnel-error')]).toEqual([502, 'origin-invalid'])
    const { text } = RULES[row.rule]
    expect(text).toMatch(/\(RFC \d+ §[\d.]+\)$/)
    const said = `GET ${path}: ${row.rule}: ${text}, ${row.where}`
    await eventually(said, () => agent.process.stderr.includes(said))
  })

  test('curl and nginx do as the table says', async (context) => {
    if (!hasCurl) context.skip('there is no curl here')
    play(row)
    expect(await takes(origin.port), 'curl').toBe(/^(?:curl|both)/.test(row.others))
    if (nginx === undefined) context.skip('there is no nginx here')
    expect(await takes(nginx!.port), 'nginx').toBe(/^(?:nginx|both)/.test(row.others))
  })
})
