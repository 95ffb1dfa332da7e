/** `tunnel-admin user …` */
import type { UserView } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import { type Command, Option } from 'commander'
import { localTime } from '../local-time.ts'
import { done, listed, type Outcome } from '../outcome.ts'
import type { Run } from '../session.ts'
import { addCommand, patternOption, wholeNumber } from './option.ts'

interface SettingFlags {
  readonly pattern?: string[]
  readonly maxSubdomains?: number
  readonly maxTunnels?: number
}

interface ChangeFlags extends SettingFlags {
  readonly disable?: true
  readonly enable?: true
}

export function addUserCommands(program: Command, does: (run: Run) => void): void {
  const user = program.command('user').description('make, list, change and delete accounts')

  withSettings(addCommand(user, 'create <name>', 'make an account')).action((username: string, flags: SettingFlags) =>
    does(async ({ api }) => {
      const made = await (await api()).call('createUser', { body: { username, ...settingsOf(flags) } })
      return shownUser(made, `made user ${username}`)
    }),
  )

  addCommand(user, 'list', 'list accounts by name').action(() =>
    does(async ({ api }) => {
      const users = await (await api()).list('listUsers', {})
      return listed(users, 'no users', [
        ['USER', ({ username }) => username],
        ['STATE', stateOf],
        ['SUBDOMAINS', namesOf],
        ['MAX TUNNELS', ({ maxTunnels }) => String(maxTunnels)],
        ['PATTERNS', ({ subdomains }) => subdomains.join(',')],
        ['CREATED', ({ createdAt }) => localTime(createdAt)],
      ])
    }),
  )

  addCommand(user, 'show <name>', 'show an account').action((username: string) =>
    does(async ({ api }) => shownUser(await (await api()).call('getUser', { params: { username } }))),
  )

  withSettings(addCommand(user, 'change <name>', 'change quotas or patterns of an account, or disable it'))
    .addOption(new Option('--disable', 'let none of its tokens in, and cut its tunnels').conflicts('enable'))
    .option('--enable', 'let its tokens in again')
    .action((username: string, { disable, enable, ...settings }: ChangeFlags) =>
      does(async ({ api }) => {
        const disabled = disable ? true : enable ? false : undefined
        const body = { ...settingsOf(settings), ...(disabled !== undefined && { disabled }) }
        if (Object.keys(body).length === 0)
          throw new TunnelFault('usage-invalid', 'Nothing to change: give at least one option.')
        const changed = await (await api()).call('changeUser', { params: { username }, body })
        return shownUser(changed, `changed user ${username}`)
      }),
    )

  addCommand(user, 'delete <name>', 'delete an account with its tokens, tunnels and names').action((username: string) =>
    does(async ({ api }) => {
      await (await api()).call('deleteUser', { params: { username } })
      return done(
        'deleteUser',
        username,
        `deleted user ${username}; the tokens are revoked, the tunnels cut within seconds, the names given back`,
      )
    }),
  )
}

const withSettings = (command: Command): Command =>
  command
    .addOption(patternOption())
    .option('--max-subdomains <number>', 'names it may hold', wholeNumber)
    .option('--max-tunnels <number>', 'tunnels it may have open at once', wholeNumber)

const settingsOf = ({ pattern, maxSubdomains, maxTunnels }: SettingFlags) => ({
  ...(pattern && { subdomains: pattern }),
  ...(maxSubdomains !== undefined && { maxSubdomains }),
  ...(maxTunnels !== undefined && { maxTunnels }),
})

const stateOf = ({ disabled }: UserView): string => (disabled ? 'disabled' : 'active')
const namesOf = ({ heldSubdomains, maxSubdomains }: UserView): string => `${heldSubdomains} of ${maxSubdomains}`

const shownUser = (user: UserView, note?: string): Outcome => ({
  json: user,
  shown: {
    kind: 'fields',
    fields: [
      ['user', user.username],
      ['state', stateOf(user)],
      ['subdomains', namesOf(user)],
      ['tunnels', `at most ${user.maxTunnels}`],
      ['patterns', user.subdomains.join(', ')],
      ['created', localTime(user.createdAt)],
    ],
  },
  ...(note !== undefined && { note }),
})
