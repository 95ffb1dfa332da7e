/** `tunnel-admin subdomain …` */
import type { SubdomainView } from '@postern/protocol/api'
import type { Command } from 'commander'
import { localTime } from '../local-time.ts'
import { done, listed, type Outcome } from '../outcome.ts'
import type { Run } from '../session.ts'
import { addCommand } from './option.ts'

export function addSubdomainCommands(program: Command, does: (run: Run) => void): void {
  const subdomain = program.command('subdomain').description('reserve, list and release names')

  addCommand(subdomain, 'reserve <name>', 'reserve a name for good')
    .option('--user <name>', 'for this account; without it for yourself')
    .action((name: string, { user }: { user?: string }) =>
      does(async ({ api }) => {
        const body = { ...(user !== undefined && { username: user }) }
        const reserved = await (await api()).call('reserveSubdomain', { params: { name }, body })
        return shownSubdomain(reserved, `reserved ${name} for ${reserved.username}`)
      }),
    )

  addCommand(subdomain, 'list', 'list names')
    .option('--user <name>', 'of this account alone')
    .action(({ user }: { user?: string }) =>
      does(async ({ api }) => {
        const names = await (await api()).list('listSubdomains', { username: user })
        return listed(names, 'no names', [
          ['NAME', ({ name }) => name],
          ['USER', ({ username }) => username],
          ['KIND', kindOf],
          ['CREATED', ({ createdAt }) => localTime(createdAt)],
          ['HELD UNTIL', ({ heldUntil }) => localTime(heldUntil)],
        ])
      }),
    )

  addCommand(subdomain, 'show <name>', 'show a name').action((name: string) =>
    does(async ({ api }) => shownSubdomain(await (await api()).call('getSubdomain', { params: { name } }))),
  )

  addCommand(subdomain, 'release <name>', 'give a name back').action((name: string) =>
    does(async ({ api }) => {
      await (await api()).call('releaseSubdomain', { params: { name } })
      return done(
        'releaseSubdomain',
        name,
        `released ${name}; its tunnel is disconnected, and for a week only its owner can have it again`,
      )
    }),
  )
}

const kindOf = ({ released, ephemeral }: SubdomainView): string =>
  released ? 'released' : ephemeral ? 'random' : 'reserved'

const shownSubdomain = (subdomain: SubdomainView, note?: string): Outcome => ({
  json: subdomain,
  shown: {
    kind: 'fields',
    fields: [
      ['name', subdomain.name],
      ['user', subdomain.username],
      ['kind', kindOf(subdomain)],
      ['created', localTime(subdomain.createdAt)],
      ['held until', localTime(subdomain.heldUntil) || 'it is released'],
    ],
  },
  ...(note !== undefined && { note }),
})
