/** `tunnel-admin token …` */
import type { NewToken, Scope } from '@postern/protocol/api'
import { SCOPES } from '@postern/protocol/api'
import type { Command } from 'commander'
import { localTime } from '../local-time.ts'
import { done, listed, type Outcome } from '../outcome.ts'
import type { Run } from '../session.ts'
import { addCommand, patternOption, severalTimes, wholeNumber } from './option.ts'

interface CreateFlags {
  readonly user?: string
  readonly label?: string
  readonly scope?: Scope[]
  readonly pattern?: string[]
  readonly days?: number
}

export function addTokenCommands(program: Command, does: (run: Run) => void): void {
  const token = program.command('token').description('make, list and revoke access tokens')

  addCommand(token, 'create', 'make a token; standard output carries it alone')
    .option('--user <name>', 'whose it is; without it your own')
    .option('--label <text>', 'what it is for')
    .addOption(
      severalTimes('--scope <scope>', `what it may do (${SCOPES.join(', ')}); several times for several`, SCOPES),
    )
    .addOption(patternOption())
    .option('--days <number>', 'how long it is good', wholeNumber)
    .action(({ user, label, scope, pattern, days }: CreateFlags) =>
      does(async ({ api }) => {
        const body = {
          ...(user !== undefined && { username: user }),
          ...(label !== undefined && { label }),
          ...(scope && { scopes: scope }),
          ...(pattern && { subdomains: pattern }),
          ...(days !== undefined && { expiresInDays: days }),
        }
        return shownOnce(await (await api()).call('createToken', { body }))
      }),
    )

  addCommand(token, 'list', 'list tokens, oldest first')
    .option('--user <name>', 'of this account alone')
    .action(({ user }: { user?: string }) =>
      does(async ({ api }) => {
        const tokens = await (await api()).list('listTokens', { username: user })
        return listed(tokens, 'no tokens', [
          ['ID', ({ id }) => id],
          ['USER', ({ username }) => username],
          ['SCOPES', ({ scopes }) => scopes.join(',')],
          ['SUBDOMAINS', ({ subdomains }) => subdomains.join(',')],
          ['STATUS', ({ status }) => status],
          ['EXPIRES', ({ expiresAt }) => localTime(expiresAt)],
          ['LAST USED', ({ lastUsedDay }) => lastUsedDay ?? 'never'],
          ['LABEL', ({ label }) => label],
        ])
      }),
    )

  addCommand(token, 'revoke <id>', 'revoke a token; its tunnels are cut within seconds').action((id: string) =>
    does(async ({ api }) => {
      await (await api()).call('revokeToken', { params: { id } })
      return done('revokeToken', id, `revoked token ${id}; its tunnels are cut within seconds`)
    }),
  )

  addCommand(token, 'rotate <id>', 'make a token like this one, which ends a day later').action((id: string) =>
    does(async ({ api }) => {
      const token = await (await api()).call('rotateToken', { params: { id } })
      return shownOnce(token, `; the old one, ${id}, is good for one more day`)
    }),
  )
}

/** A token that was just made. @param more further words for the person */
export function shownOnce(token: NewToken, more = ''): Outcome {
  const { id, username, scopes, expiresAt } = token
  const note = `token ${id} of ${username} (${scopes.join(', ')}), good until ${localTime(expiresAt)}; it is shown this once`
  return { json: token, shown: { kind: 'line', text: token.token }, note: note + more }
}
