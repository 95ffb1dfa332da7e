/** The command line of the acceptance run as a value. */
import { parseArgs } from 'node:util'
import { TunnelFault, toFault } from '@postern/protocol/fault'

export interface AcceptOptions {
  /** The local system with several nodes instead of a deployment. */
  readonly local: boolean
  /** Origin of the control API; undefined with `local`. */
  readonly server: string | undefined
  /** A path, or `-` for standard input. */
  readonly tokenFile: string | undefined
  readonly region: string | undefined
  /** Path of the report. */
  readonly report: string
  readonly help: boolean
}

export const USAGE = `npm run accept -- --domain <domain> [options]
npm run accept -- --local

Checks a deployed service against what its design assumes of AWS. All nodes are replaced once.

  --domain <domain>    of the deployment: its API is at https://<domain>
  --server <url>       where the API is, for a deployment without a domain (output ControlUrl of PosternControl)
  --token-file <path>  the token of an administrator; - for standard input. Otherwise TUNNEL_ADMIN_TOKEN
  --region <region>    of the stacks; otherwise as the AWS SDK finds it
  --local              starts the local system with several nodes, and checks that
  --report <path>      the file for the report (acceptance-report.md)
`

/** @throws TunnelFault `usage-invalid` */
export function parseOptions(args: readonly string[]): AcceptOptions {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        domain: { type: 'string' },
        server: { type: 'string' },
        'token-file': { type: 'string' },
        region: { type: 'string' },
        local: { type: 'boolean', default: false },
        report: { type: 'string', default: 'acceptance-report.md' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const { local, help, report, domain, region } = values
    const places = [domain, values.server, local ? 'local' : undefined].filter((place) => place !== undefined)
    if (places.length !== 1 && !help)
      throw new TunnelFault('usage-invalid', 'Exactly one of --domain, --server and --local is needed.')
    const server = domain === undefined ? values.server : `https://${domain}`
    return { local, help, report, region, server, tokenFile: values['token-file'] }
  } catch (error) {
    throw toFault(error, 'usage-invalid')
  }
}
