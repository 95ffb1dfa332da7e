/** `tunnel-admin tunnel …` */
import type { Command } from 'commander'
import { localTime } from '../local-time.ts'
import { done, listed } from '../outcome.ts'
import type { Run } from '../session.ts'
import { addCommand } from './option.ts'

export function addTunnelCommands(program: Command, does: (run: Run) => void): void {
  const tunnel = program.command('tunnel').description('list and disconnect tunnels')

  addCommand(tunnel, 'list', 'list tunnels that are open now')
    .option('--user <name>', 'of this account alone')
    .action(({ user }: { user?: string }) =>
      does(async ({ api }) => {
        const tunnels = await (await api()).list('listTunnels', { username: user })
        return listed(tunnels, 'no tunnels are open', [
          ['SUBDOMAIN', ({ subdomain }) => subdomain],
          ['SLOT', ({ slot }) => String(slot)],
          ['USER', ({ username }) => username],
          ['URL', ({ url }) => url],
          ['OPENED', ({ openedAt }) => localTime(openedAt)],
          ['TASK', ({ taskId }) => taskId],
        ])
      }),
    )

  addCommand(tunnel, 'disconnect <subdomain>', 'cut the tunnel of a name; its agent may come back').action(
    (subdomain: string) =>
      does(async ({ api }) => {
        await (await api()).call('disconnectTunnel', { params: { subdomain } })
        return done(
          'disconnectTunnel',
          subdomain,
          `disconnected ${subdomain}; it is cut within seconds, and its agent may come back at once`,
        )
      }),
  )
}
