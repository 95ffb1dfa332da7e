/** `tunnel-admin login` and `tunnel-admin whoami` */
import type { Account } from '@postern/protocol/api'
import { parseServer } from '@postern/protocol/client'
import { TunnelFault } from '@postern/protocol/fault'
import type { Command } from 'commander'
import { localTime } from '../local-time.ts'
import type { Outcome } from '../outcome.ts'
import { prepareProfile } from '../profile-file.ts'
import type { Run } from '../session.ts'
import { givenToken, namedServer, ownProfile } from '../settings.ts'
import { addCommand } from './option.ts'

export function addAccountCommands(program: Command, does: (run: Run) => void): void {
  addCommand(program, 'login', 'check a token, and keep it with its server for later calls').action(() =>
    does(async ({ sources, apiOf }) => {
      const named = namedServer(sources)
      if (named === undefined) throw new TunnelFault('usage-invalid', 'Which server: give --server <url>.')
      const server = parseServer(named)
      const token = await givenToken(sources)
      if (!token)
        throw new TunnelFault(
          'token-missing',
          'Give --token-file <path or ->, or set TUNNEL_ADMIN_TOKEN for this once.',
        )
      const account = await apiOf({ server, token }).call('getMe', {})
      const path = ownProfile(sources)
      const file = await prepareProfile(path)
      await file.keep({ server, token })
      return shownAccount(account, `logged in at ${server}; server and token are kept in ${path}`)
    }),
  )

  addCommand(program, 'whoami', 'whose token this is, and what it may do').action(() =>
    does(async ({ api }) => shownAccount(await (await api()).call('getMe', {}))),
  )
}

const shownAccount = (account: Account, note?: string): Outcome => ({
  json: account,
  shown: {
    kind: 'fields',
    fields: [
      ['user', account.username],
      ['scopes', account.scopes.join(', ')],
      ['subdomains', account.subdomains.join(', ')],
      ['expires', localTime(account.expiresAt)],
    ],
  },
  ...(note !== undefined && { note }),
})
