/** `tunnel-admin cost`: what a deployment would cost in a month. Asks nobody: needs no server, no token and no credentials. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Estimate, estimate } from '../cost/estimate.ts'
import { CAVEAT, PRICES, REGION, TRANSFER_OUT } from '../cost/prices.ts'
import { type Workload, workloadOf } from '../cost/workload.ts'
import type { Outcome } from '../outcome.ts'
import type { Run } from '../session.ts'
import { wholeNumber } from './option.ts'

interface Flags
  extends Pick<Workload, 'tunnels' | 'gb' | 'taskCpu' | 'taskMemory' | 'architecture' | 'domain' | 'canary'> {
  readonly requestsPerSecond?: number
  readonly tasks?: number
}

export function addCostCommand(program: Command, does: (run: Run) => void): void {
  program
    .command('cost')
    .description('what a deployment on AWS would cost in a month; asks nobody')
    .option('--tunnels <number>', 'tunnels that are open all month', wholeNumber, 0)
    .option('--gb <number>', 'gigabytes to visitors in a month', amount, 0)
    .option('--requests-per-second <number>', 'of all tunnels, on average; without it from the gigabytes', amount)
    .option('--tasks <number>', 'tasks of the data plane; without it as many as scaling would start', wholeNumber)
    .option('--task-cpu <number>', 'size of a task, as -c taskCpu', wholeNumber, 256)
    .option('--task-memory <number>', 'as -c taskMemory', wholeNumber, 512)
    .addOption(new Option('--architecture <name>', 'as -c architecture').choices(['arm64', 'x86_64']).default('arm64'))
    .option('--no-domain', 'a deployment without a domain')
    .option('--canary', 'a deployment with a canary, as -c canaryToken', false)
    .option('--json', 'print workload, parts, total and prices as JSON', false)
    .action((flags: Flags) => does(async () => shown(estimate(workloadOf(chosen(flags))))))
}

const chosen = ({
  requestsPerSecond,
  tasks,
  tunnels,
  gb,
  taskCpu,
  taskMemory,
  architecture,
  domain,
  canary,
}: Flags) => ({
  ...{ tunnels, gb, taskCpu, taskMemory, architecture, domain, canary },
  ...(requestsPerSecond !== undefined && { requestsPerSecond }),
  ...(tasks !== undefined && { tasks }),
})

function amount(text: string): number {
  if (!/^\d{1,9}(\.\d{1,6})?$/.test(text)) throw new InvalidArgumentError('A number is expected.')
  return Number(text)
}

function shown({ workload, parts, total }: Estimate): Outcome {
  const rows = parts.map(({ service, of, amount, unit, usd }) => [
    service,
    of,
    `${rounded(amount)} ${unit}`,
    money(usd),
  ])
  return {
    json: {
      workload,
      parts,
      total,
      currency: 'USD',
      region: REGION,
      prices: { ...PRICES, transferOut: TRANSFER_OUT },
      check: CAVEAT,
    },
    shown: {
      kind: 'table',
      head: ['SERVICE', 'OF', 'AMOUNT', 'USD A MONTH'],
      rows: [...rows, ['total', '', '', money(total)]],
      below: `${sizeOf(workload)}\n${CAVEAT}`,
    },
  }
}

const sizeOf = ({ tasks, taskCpu, taskMemory, tunnels, gb }: Workload): string =>
  `For ${tunnels} tunnels and ${gb} GB to visitors: ${tasks} tasks of ${taskCpu / 1024} vCPU and ${taskMemory / 1024} GB.`

const money = (usd: number): string => usd.toFixed(2).padStart(9)

/** Three digits are more than any of it is worth. */
const rounded = (amount: number): string =>
  amount >= 1000 ? Math.round(amount).toLocaleString('en-US') : String(Number(amount.toPrecision(3)))
