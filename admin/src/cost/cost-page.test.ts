/** docs/cost.md says what the code says: its examples are run, and its tables computed. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseArgs } from '../args.ts'
import type { Session } from '../session.ts'
import { Terminal } from '../terminal.ts'
import { estimate } from './estimate.ts'
import { CAPACITY_UNIT, CAVEAT, PRICES, type Price, TRANSFER_OUT } from './prices.ts'
import * as usage from './usage.ts'
import { workloadOf } from './workload.ts'

const PAGE = readFileSync(new URL('../../../docs/cost.md', import.meta.url), 'utf8')

/** The cells of the table below a heading, without its head. */
function tableUnder(heading: string): string[][] {
  const section = PAGE.split(/^## /m).find((text) => text.startsWith(`${heading}\n`))
  if (section === undefined) throw new Error(`docs/cost.md has no heading "${heading}"`)
  const rows = [...section.matchAll(/^\|(.+)\|$/gm)].map(([, row]) => row!.split('|').map((cell) => cell.trim()))
  return rows.slice(2)
}

/** A command without server, token, environment or clock: whatever it asks for fails. */
async function answerTo(commandLine: string): Promise<string> {
  const invocation = parseArgs(commandLine.split(' '), '0.0.0')
  if (invocation.kind !== 'command') throw new Error(`${commandLine} is no command`)
  let out = ''
  const err = (line: string) => expect.unreachable(line)
  const terminal = new Terminal({ out: (text) => (out += text), err, color: { out: false, err: false } })
  const nothing = new Proxy({} as Session, { get: (_, what) => expect.unreachable(`it asked for ${String(what)}`) })
  terminal.outcome(await invocation.run(nothing), invocation.flags.json)
  return out.trimEnd()
}

describe('docs/cost.md', () => {
  const examples = [...PAGE.matchAll(/^```\n\$ npx tunnel-admin (.+)\n([\s\S]+?)\n```$/gm)]

  test('has examples', () => {
    expect(examples.length).toBeGreaterThan(0)
  })

  test.each(examples.map(([, command, answer]) => [command!, answer!]))(
    'shows what `tunnel-admin %s` answers',
    async (command, answer) => {
      expect(answer).toBe(await answerTo(command))
    },
  )

  test('has the sums that the formula gives', () => {
    const rows = tableUnder('What it comes to')
    expect(rows.length).toBeGreaterThan(5)
    for (const [tunnels, gb, cpu, tasks, usd] of rows) {
      const { workload, total } = estimate(
        workloadOf({
          ...{ tunnels: Number(tunnels!.replaceAll(',', '')), gb: Number(gb!.replaceAll(',', '')) },
          ...{ taskCpu: 1024 * Number(cpu), taskMemory: 2048 * Number(cpu), architecture: 'arm64', domain: true },
        }),
      )
      expect([tasks, usd]).toEqual([String(workload.tasks), Math.round(total).toLocaleString('en-US')])
    }
  })

  test('says of the three figures of the design what the formula gives', () => {
    const usd = (tunnels: number, more: { gb?: number; tasks?: number; taskCpu?: number } = {}) => {
      const taskCpu = more.taskCpu ?? 256
      const size = { taskCpu, taskMemory: 2 * taskCpu, architecture: 'arm64', domain: true } as const
      return estimate(workloadOf({ ...size, gb: 0, tunnels, ...more })).total
    }
    const large = { taskCpu: 1024 }
    const bold = [...PAGE.matchAll(/^\* \*\*(About )?\$.+?: (.+?)\.\*\*/gm)].map(([, , said]) => said)
    expect(bold).toEqual([
      `$${Math.round(usd(0))}`,
      `$${Math.round(usd(2000) - usd(1000))} on small tasks, $${Math.round(usd(3000, large) - usd(2000, large))} on large ones`,
      `$${Math.round(usd(0, { gb: 1000 }) - usd(0))}`,
    ])
    const packed = usd(2000, { tasks: 5 }) - usd(1000, { tasks: 4 })
    expect(PAGE).toContain(`carried 1,000 idle tunnels, it would be $${Math.round(packed)}`)
  })

  test('has every price, with its page and the month it was known in', () => {
    const rowOf = (name: string, { usd, per, page, known }: Price) => {
      const dear = usd >= 0.00001
      return [name, dear ? String(usd) : `${Number((usd * 1e6).toPrecision(6))} a million`, per, page, known]
    }
    expect(tableUnder('Prices')).toEqual([
      ...Object.entries(PRICES).map(([name, price]) => rowOf(`\`${name}\``, price)),
      ...TRANSFER_OUT.map((tier) => rowOf('`transferOut`', tier)),
    ])
  })

  test('has every number that is assumed or counted', () => {
    const flat = Object.entries(usage).flatMap(([name, value]): [string, number][] =>
      typeof value === 'number' ? [[name, value]] : Object.entries(value).map(([key, n]) => [`${name}.${key}`, n]),
    )
    const said = new Map(
      tableUnder('What is assumed').map(([name, value]) => [name!.replaceAll('`', ''), Number(value)]),
    )
    expect([...said].sort()).toEqual(flat.sort())
  })

  test('has the units of the balancer', () => {
    const { tls, tcp } = CAPACITY_UNIT
    expect(tableUnder('The balancer')).toEqual(
      Object.entries({ TLS: tls, TCP: tcp }).map(([name, { newPerSecond, active, gbPerHour }]) => [
        ...[name, String(newPerSecond), active.toLocaleString('en-US'), String(gbPerHour)],
      ]),
    )
  })

  test('says that nobody has checked the prices', () => {
    expect(CAVEAT).toMatch(/check/)
    expect(PAGE).toMatch(/check them/i)
  })
})

test('the last line of an answer says that the prices want checking', async () => {
  expect((await answerTo('cost --tunnels 1000 --gb 500')).split('\n').at(-1)).toBe(CAVEAT)
})

test('as JSON it has the workload, the parts, their sum, and the prices', async () => {
  const answer = JSON.parse(await answerTo('cost --tunnels 10 --gb 0.5 --requests-per-second 2 --tasks 3 --json'))
  expect(answer).toMatchObject({
    workload: { tunnels: 10, gb: 0.5, requestsPerSecond: 2, tasks: 3 },
    ...{ currency: 'USD', region: 'us-east-1', check: CAVEAT, prices: { balancer: { usd: PRICES.balancer.usd } } },
  })
  expect(answer.parts.reduce((sum: number, { usd }: { usd: number }) => sum + usd, 0)).toBe(answer.total)
})

test.each([
  ['cost --tunnels -1', 'A whole number'],
  ['cost --gb many', 'A number is expected'],
  ['cost --architecture sparc', 'arm64'],
  ['cost --server https://x', '--server'],
])('`tunnel-admin %s` is refused', async (command, why) => {
  expect(() => parseArgs(command.split(' '), '0')).toThrow(
    expect.objectContaining({ code: 'usage-invalid', message: expect.stringContaining(why) }),
  )
})
