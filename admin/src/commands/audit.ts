/** `tunnel-admin audit` */
import type { Command } from 'commander'
import { localTime } from '../local-time.ts'
import { listed } from '../outcome.ts'
import type { Run } from '../session.ts'
import { addCommand } from './option.ts'

export function addAuditCommand(program: Command, does: (run: Run) => void): void {
  addCommand(program, 'audit', 'what was changed, and which tickets were used, on one day')
    .option('--day <yyyy-mm-dd>', 'a day of UTC; without it today')
    .action(({ day }: { day?: string }) =>
      does(async ({ api }) => {
        const entries = await (await api()).list('listAudit', { day })
        return listed(entries, 'nothing was changed on that day', [
          ['TIME', ({ at }) => localTime(at)],
          ['ACTOR', ({ actor }) => actor],
          ['ACTION', ({ action }) => action],
          ['TARGET', ({ target }) => target],
          ['RESULT', ({ result }) => result],
          ['IP', ({ ip }) => ip],
          ['TOKEN', ({ tokenId }) => tokenId ?? ''],
          ['REPORTED BY', ({ reportedBy }) => reportedBy ?? 'control plane'],
        ])
      }),
    )
}
