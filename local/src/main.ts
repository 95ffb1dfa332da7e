/** `npm start`: the local system in one command. The only place of this room that reads the command line, installs signal handlers and exits. */
import { lookup } from 'node:dns/promises'
import { relative, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { isatty } from 'node:tty'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { type Front, frontOf, listenAddressOf, portOf } from './front.ts'
import { type LocalSystem, startLocalSystem } from './local-system.ts'
import { rollingRestart } from './rolling-restart.ts'
import { DEFAULT_FOLDER, welcomeText } from './welcome-text.ts'

const HELP = `npm start -- [--listen <address>] [--port <number>] [--data <folder>] [--tasks <number>]
             [--base <domain> --trusted-proxy <network>... [--channel-port <number>] [--nested-names <names>]]

Runs the whole of Postern on this machine: embedded table, control plane, data plane, a demo server and its tunnel.

  --listen <address>
                    where visitors connect (127.0.0.1 and ::1); without --base: one that localhost leads to
  --port <number>   the port there (8080); 0: any free port
  --data <folder>   what is kept from start to start (.postern)
  --tasks <number>  so many data-plane tasks (1 to 9) behind a load balancer. The line "r" on standard input, or the signal
                    SIGUSR2, replaces them one after the other under requests to the demo, and tells how those fare

On a server of your own, behind nginx, HAProxy or Caddy (docs/own-server.md); there is no demo then:

  --base <domain>   tunnels are at https://<name>.<domain>, and all names below the domain lead to this server
  --trusted-proxy <network>
                    your TLS front is there (127.0.0.0/8): it says who visits, by X-Forwarded-For or by a PROXY header
  --channel-port <number>
                    where agents connect, on every address of this machine (7000)
  --nested-names <names>
                    tunnels with hosts below their names (demo,shop, or *): your front has certificates for *.<name>.<domain>
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
  /** Undefined: loopback. */
  readonly listen: string | undefined
  readonly front: Front | undefined
  readonly dataFolder: string
  /** Undefined: one, without a balancer. */
  readonly tasks: number | undefined
  readonly help: boolean
}

/** @throws TunnelFault `usage-invalid` */
async function readOptions(): Promise<Options> {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: 'string', default: '8080' },
        listen: { type: 'string' },
        base: { type: 'string' },
        'trusted-proxy': { type: 'string', multiple: true },
        'channel-port': { type: 'string' },
        'nested-names': { type: 'string' },
        data: { type: 'string', default: DEFAULT_FOLDER },
        tasks: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const tasks = values.tasks === undefined ? undefined : Number(values.tasks)
    if (tasks !== undefined && !(/^\d+$/.test(values.tasks!) && tasks >= 1 && tasks <= MOST_TASKS))
      throw new TunnelFault('usage-invalid', `--tasks ${values.tasks}: it is a number from 1 to ${MOST_TASKS}.`)
    const { port, listen, data, tasks: _tasks, help, ...flags } = values
    const front = frontOf(flags)
    if (front !== undefined && tasks !== undefined)
      throw new TunnelFault('usage-invalid', '--tasks is for trying out on this machine, and --base is not.')
    const localhost = (await lookup('localhost', { all: true })).map(({ address }) => address)
    // npm runs scripts in the folder of the package, wherever the person stands: INIT_CWD is where that is.
    const base = data === DEFAULT_FOLDER ? ROOT : (process.env.INIT_CWD ?? process.cwd())
    const dataFolder = resolve(base, data)
    return {
      port: portOf('--port', port),
      listen: listenAddressOf(listen, front, localhost),
      front,
      dataFolder,
      tasks,
      help,
    }
  } catch (error) {
    throw toFault(error, 'usage-invalid')
  }
}

async function main(): Promise<number> {
  const told = onceTold()
  try {
    const { dataFolder, help, ...options } = await readOptions()
    if (help) {
      process.stdout.write(HELP)
      return 0
    }
    const system = await startLocalSystem({
      ...options,
      dataFolder,
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
  if (!replaceTasks || demoUrl === undefined) return () => undefined
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
