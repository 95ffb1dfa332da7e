/** The process of `npm run accept`: reads the command line, writes the report, and removes what was made, also when it is interrupted. */
import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { ApiClient, parseServer } from '@postern/protocol/client'
import { TunnelFault } from '@postern/protocol/fault'
import { Secret } from '@postern/protocol/ticket'
import { givenToken } from '../../admin/src/settings.ts'
import buildOnce from '../support/build-once.ts'
import { runAcceptance } from './acceptance.ts'
import { AwsDeployment } from './aws-deployment.ts'
import { LocalDeployment } from './local-deployment.ts'
import { type AcceptOptions, parseOptions, USAGE } from './options.ts'
import { reportText } from './report.ts'

// The SDK announces on every start which Node it will want next year; the versions here are pinned.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'

const PROGRAM = 'postern-accept/1'
/** The shell's convention for a process ended by SIGINT: 128 + 2. */
const EXIT_INTERRUPTED = 130

const progress = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args)
  if (options.help) {
    process.stdout.write(USAGE)
    return 0
  }
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      // A second signal does not wait for the removal.
      if (interrupted.signal.aborted) process.exit(EXIT_INTERRUPTED)
      progress('interrupted: what was made is removed')
      interrupted.abort(new Error(`interrupted by ${signal}`))
    })
  const began = new Date()
  const { deployment, server, token } = await open(options, interrupted.signal)
  const api = new ApiClient({ server, token, program: PROGRAM })
  try {
    const results = await runAcceptance({ deployment, api, server, signal: interrupted.signal, progress })
    const page = reportText({ title: deployment.title, server, began, ended: new Date(), results })
    // npm runs scripts in the folder of the package; INIT_CWD is where the person stands.
    const path = resolve(process.env.INIT_CWD ?? process.cwd(), options.report)
    await writeFile(path, page)
    process.stdout.write(page)
    progress(`the report is in ${path}`)
    return results.some(({ verdict }) => verdict.outcome === 'failed') ? 1 : 0
  } finally {
    await deployment.stop()
  }
}

async function open(options: AcceptOptions, signal: AbortSignal) {
  if (options.local) {
    buildOnce()
    const deployment = await LocalDeployment.start()
    return { deployment, server: parseServer(deployment.server), token: new Secret(deployment.token) }
  }
  const { tokenFile } = options
  const token = await givenToken({
    flags: tokenFile === undefined ? {} : { tokenFile },
    environment: process.env,
    profilePath: '',
    readFile: (path) => readFile(path, 'utf8'),
    readStandardInput: () => text(process.stdin),
  })
  if (token === undefined)
    throw new TunnelFault(
      'token-missing',
      'An administrator’s is needed: --token-file <path or ->, or TUNNEL_ADMIN_TOKEN.',
    )
  return { deployment: await AwsDeployment.find(options.region, signal), server: parseServer(options.server!), token }
}

function failureOf(error: unknown): number {
  const isFault = error instanceof TunnelFault
  const message = error instanceof Error ? error.message : String(error)
  progress(`npm run accept: ${isFault ? `${message} ${error.advice} (${error.code})` : message}`)
  return isFault ? error.exit : 1
}

process.exit(await main(process.argv.slice(2)).catch(failureOf))
