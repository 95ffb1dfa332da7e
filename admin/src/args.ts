/** The command line as a value. Knows nothing of the environment, the profile or what a command comes to. */
import { TunnelFault } from '@postern/protocol/fault'
import { Command, CommanderError } from 'commander'
import { addAccountCommands } from './commands/account.ts'
import { addAuditCommand } from './commands/audit.ts'
import { addBootstrapCommand } from './commands/bootstrap.ts'
import { addCostCommand } from './commands/cost.ts'
import { addSubdomainCommands } from './commands/subdomain.ts'
import { addTokenCommands } from './commands/token.ts'
import { addTunnelCommands } from './commands/tunnel.ts'
import { addUserCommands } from './commands/user.ts'
import type { Run } from './session.ts'
import type { CommonFlags } from './settings.ts'

export type Invocation =
  | { readonly kind: 'command'; readonly run: Run; readonly flags: CommonFlags & { readonly json: boolean } }
  /** Help or version: print `text`, and that is all. */
  | { readonly kind: 'told'; readonly text: string }

const EPILOGUE = `
Standard output carries the result alone; everything else goes to standard error.

Environment: TUNNEL_ADMIN_SERVER, TUNNEL_ADMIN_TOKEN, TUNNEL_ADMIN_CONFIG (a profile), POSTERN_TABLE (bootstrap)
Exit codes:  0 done · 1 unexpected · 2 usage, settings or no such thing · 3 not authorised
             4 subdomain taken or not allowed · 5 unreachable`

/**
 * @param argv the arguments alone, without node and script
 * @throws TunnelFault `usage-invalid`; its detail says what to change
 */
export function parseArgs(argv: readonly string[], version: string): Invocation {
  let told = ''
  let run: Run | undefined
  let flags: (CommonFlags & { json: boolean }) | undefined
  const does = (chosen: Run): void => {
    run = chosen
  }

  const program = new Command('tunnel-admin')
    .description('Administers a tunnel service: tokens, users, subdomains, tunnels and the audit.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EPILOGUE)
    .configureOutput({
      writeOut: (text) => {
        told += text
      },
      writeErr: () => undefined,
    })
    .exitOverride()
    .hook('preAction', (_, command) => {
      const { token, server, tokenFile, json } = command.opts()
      if (token !== undefined) throw new TunnelFault('usage-invalid', TOKEN_ON_COMMAND_LINE)
      flags = { json, ...(server !== undefined && { server }), ...(tokenFile !== undefined && { tokenFile }) }
    })
  for (const add of [
    addBootstrapCommand,
    addAccountCommands,
    addTokenCommands,
    addUserCommands,
    addSubdomainCommands,
    addTunnelCommands,
    addAuditCommand,
    addCostCommand,
  ])
    add(program, does)

  try {
    program.parse(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { kind: 'told', text: told }
    throw new TunnelFault('usage-invalid', usageDetail(error))
  }
  if (!run || !flags) throw new TunnelFault('usage-invalid', usageDetail(undefined))
  return { kind: 'command', run, flags }
}

const TOKEN_ON_COMMAND_LINE =
  'A token on the command line shows in the process list: use --token-file <path or ->, or the variable TUNNEL_ADMIN_TOKEN.'

function usageDetail(error: CommanderError | undefined): string {
  if (!error || error.code === 'commander.help') return 'A command is missing, for instance: tunnel-admin token list.'
  return `${error.message.replace(/^error: /, '').replace(/\.?$/, '.')}`
}
