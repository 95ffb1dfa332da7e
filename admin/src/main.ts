/** The command `tunnel-admin`: the only place that reads the environment and decides the exit code. */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import { ApiClient } from '@postern/protocol/client'
import { toFault } from '@postern/protocol/fault'
import envPaths from 'env-paths'
import { AdminApi } from './admin-api.ts'
import { parseArgs } from './args.ts'
import { readSettings, type Settings, type SettingsSources } from './settings.ts'
import { Terminal } from './terminal.ts'
import { VERSION } from './version.ts'

// The SDK announces on every start which Node it will want next year; the versions here are pinned.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'

async function main(): Promise<number> {
  const { env, stderr, stdout } = process
  // A reader that has gone away (`| head -1`) is no failure of ours.
  for (const stream of [stdout, stderr]) stream.on('error', () => undefined)
  const terminal = new Terminal({
    out: (line) => stdout.write(line),
    err: (line) => stderr.write(line),
    color: { out: Boolean(stdout.isTTY) && !env.NO_COLOR, err: Boolean(stderr.isTTY) && !env.NO_COLOR },
  })
  try {
    const invocation = parseArgs(process.argv.slice(2), VERSION)
    if (invocation.kind === 'told') {
      stdout.write(invocation.text)
      return 0
    }
    const sources: SettingsSources = {
      flags: invocation.flags,
      environment: env,
      profilePath: join(configFolder(env), 'config.json'),
      readFile: (path) => readFile(path, 'utf8'),
      readStandardInput: () => text(process.stdin),
    }
    const outcome = await invocation.run({
      sources,
      apiOf,
      api: async () => apiOf(await readSettings(sources)),
      now: Date.now,
      random: randomBytes,
    })
    terminal.outcome(outcome, invocation.flags.json)
    return 0
  } catch (error) {
    const fault = toFault(error)
    terminal.fault(fault)
    return fault.exit
  }
}

const apiOf = ({ server, token }: Settings): AdminApi =>
  new AdminApi({ client: new ApiClient({ server, token, program: `tunnel-admin/${VERSION}` }), wait })

/** Where this platform keeps settings; XDG_CONFIG_HOME counts on every one. */
const configFolder = (env: NodeJS.ProcessEnv): string =>
  env.XDG_CONFIG_HOME ? join(env.XDG_CONFIG_HOME, 'tunnel-admin') : envPaths('tunnel-admin', { suffix: '' }).config

// Not `process.exit`: what is on its way to a pipe would be lost.
process.exitCode = await main()
