/** `npm start`: the local system in one command. The only place of this room that reads the command line, installs signal handlers and exits. */
import { relative, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { isatty } from 'node:tty'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { type LocalSystem, startLocalSystem } from './local-system.ts'
import { rollingRestart } from './rolling-restart.ts'
import { DEFAULT_FOLDER, welcomeText } from './welcome-text.ts'

const HELP = `npm start -- [--port <number>] [--data <folder>] [--tasks <number>]

Runs the whole of Postern on this machine: embedded table, control plane, data plane, a demo server and its tunnel.

  --port <number>   where visitors connect (8080); 0: any free port
  --data <folder>   what is kept from start to start (.postern)
  --tasks <number>  so many data-plane tasks (1 to 9) behind a load balancer. The line "r" on standard input, or the signal
                    SIGUSR2, replaces them one after the other under requests to the demo, and tells how those fare
`

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** The shell's convention for a process ended by SIGINT: 128 + 2. */
const EXIT_INTERRUPTED = 130
/** Each is a process of some 100 MB. */
const MOST_TASKS = 9

// The SDK announces on every start which Node it will want next year; the versions here are pinned. Inherited by the data plane.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'

interface Options {
  readonly port: number
  readonly dataFolder: string
  /** Undefined: one, without a balancer. */
  readonly tasks: number | undefined
  readonly help: boolean
}

/** @throws TunnelFault `usage-invalid` */
function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: 'string', default: '8080' },
        data: { type: 'string', default: DEFAULT_FOLDER },
        tasks: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65_535)
      throw new TunnelFault('usage-invalid', `--port ${values.port}: a port is a number from 0 to 65535.`)
    const tasks = values.tasks === undefined ? undefined : Number(values.tasks)
    if (tasks !== undefined && !(Number.isInteger(tasks) && tasks >= 1 && tasks <= MOST_TASKS))
      throw new TunnelFault('usage-invalid', `--tasks ${values.tasks}: it is a number from 1 to ${MOST_TASKS}.`)
    // npm runs scripts in the folder of the package, wherever the person stands: INIT_CWD is where that is.
    const base = values.data === DEFAULT_FOLDER ? ROOT : (process.env.INIT_CWD ?? process.cwd())
    return { port: Number(values.port), dataFolder: resolve(base, values.data), tasks, help: values.help }
  } catch (error) {
    throw toFault(error, 'usage-invalid')
  }
}

async function main(): Promise<number> {
  const told = onceTold()
  try {
    const { port, dataFolder, tasks, help } = readOptions()
    if (help) {
      process.stdout.write(HELP)
      return 0
    }
    const system = await startLocalSystem({
      port,
      dataFolder,
      tasks,
      complaint: (from, line) => process.stderr.write(`[${from}] ${line}\n`),
    })
    // Before anybody is told of it: SIGUSR2 would end a process that does not expect it.
    const deaf = restartOnDemand(system)
    const shown = relative(ROOT, dataFolder)
    process.stdout.write(await welcomeText(system, shown.startsWith('..') ? dataFolder : shown))
    const fault = await Promise.race([told, system.broken])
    deaf()
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

/** Where there is a balancer, a line of `r` or SIGUSR2 replaces the tasks. @returns no longer */
function restartOnDemand({ demoUrl, replaceTasks }: LocalSystem): () => void {
  if (!replaceTasks) return () => undefined
  let underWay = false
  const restart = (): void => {
    if (underWay) return
    underWay = true
    rollingRestart({ url: demoUrl, replaceTasks, say: (line) => process.stdout.write(`${line}\n`) })
      .catch((error: unknown) => process.stderr.write(`npm start: ${toFault(error).message}\n`))
      .finally(() => {
        underWay = false
      })
  }
  const lines = createInterface({ input: process.stdin }).on('line', (line) => {
    if (line.trim() === 'r') restart()
  })
  process.on('SIGUSR2', restart)
  return () => {
    lines.close()
    process.off('SIGUSR2', restart)
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
    // Without a terminal none was closed: `nohup` and services expect it to be ignored.
    const hasTerminal = [0, 1, 2].some(isatty)
    process.on('SIGHUP', () => {
      if (hasTerminal) tell()
    })
    process.on('disconnect', tell)
  })
}

process.exit(await main())
