/** `npm start`: the local system in one command. The only place of this room that reads the command line, installs signal handlers and exits. */
import { relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { startLocalSystem } from './local-system.ts'
import { DEFAULT_FOLDER, welcomeText } from './welcome-text.ts'

const HELP = `npm start -- [--port <number>] [--data <folder>]

Runs the whole of Postern on this machine: embedded table, control plane, data plane, a demo server and its tunnel.

  --port <number>   where visitors connect (8080); 0: any free port
  --data <folder>   what is kept from start to start (.postern)
`

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** The shell's convention for a process ended by SIGINT: 128 + 2. */
const EXIT_INTERRUPTED = 130

// The SDK announces on every start which Node it will want next year; the versions here are pinned. Inherited by the data plane.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'

interface Options {
  readonly port: number
  readonly dataFolder: string
  readonly help: boolean
}

/** @throws TunnelFault `usage-invalid` */
function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: 'string', default: '8080' },
        data: { type: 'string', default: DEFAULT_FOLDER },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65_535)
      throw new TunnelFault('usage-invalid', `--port ${values.port}: a port is a number from 0 to 65535.`)
    // npm runs scripts in the folder of the package, wherever the person stands: INIT_CWD is where that is.
    const base = values.data === DEFAULT_FOLDER ? ROOT : (process.env.INIT_CWD ?? process.cwd())
    return { port: Number(values.port), dataFolder: resolve(base, values.data), help: values.help }
  } catch (error) {
    throw toFault(error, 'usage-invalid')
  }
}

async function main(): Promise<number> {
  const told = onceTold()
  try {
    const { port, dataFolder, help } = readOptions()
    if (help) {
      process.stdout.write(HELP)
      return 0
    }
    const system = await startLocalSystem({
      port,
      dataFolder,
      complaint: (from, line) => process.stderr.write(`[${from}] ${line}\n`),
    })
    const shown = relative(ROOT, dataFolder)
    process.stdout.write(await welcomeText(system, shown.startsWith('..') ? dataFolder : shown))
    const fault = await Promise.race([told, system.broken])
    if (!fault) process.stderr.write('\nstopping\n')
    await system.stop()
    if (!fault) return 0
    throw fault
  } catch (error) {
    const fault = toFault(error)
    const hint = fault.code === 'port-taken' ? ' npm start -- --port <number> takes another.' : ''
    process.stderr.write(`npm start: ${fault.message} ${fault.advice}${hint} (${fault.code})\n`)
    return fault.exit
  }
}

/** Resolves when the person, or whoever runs us, asks for the end; a second Ctrl+C does not wait for it. */
function onceTold(): Promise<undefined> {
  return new Promise((resolve) => {
    let told = false
    const tell = (): void => {
      told = true
      resolve(undefined)
    }
    process.on('SIGINT', () => {
      if (told) process.exit(EXIT_INTERRUPTED)
      tell()
    })
    process.on('SIGTERM', tell)
    process.on('SIGHUP', tell)
    process.on('disconnect', tell)
  })
}

process.exit(await main())
