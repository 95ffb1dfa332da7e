/** The command `tunnel-agent`: the only place that reads the environment, installs signal handlers and ends the process. */
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { isatty } from 'node:tty'
import { toFault } from '@postern/protocol/fault'
import { NPX_CHECK_MS } from '@postern/protocol/limits'
import { parseArgs } from './args.ts'
import { connect } from './connect.ts'
import { MACHINE, watchNpx } from './npx-watch.ts'
import { readSettings } from './settings.ts'
import { parseTarget } from './target.ts'
import { Terminal, type TerminalOptions } from './terminal.ts'
import { VERSION } from './version.ts'

/** The shell's convention for a process ended by SIGINT: 128 + 2. */
const EXIT_INTERRUPTED = 130

const PASSWORD_ON_COMMAND_LINE =
  'a password on the command line shows in the process list; --basic-auth-file <path> keeps it out of there.'

async function main(): Promise<number> {
  const { env, stderr, stdout } = process
  const plain: TerminalOptions = {
    out: (line) => stdout.write(line),
    err: (line) => stderr.write(line),
    color: Boolean(stderr.isTTY) && !env.NO_COLOR,
    quiet: false,
    target: '',
  }
  let terminal = new Terminal(plain)
  // A reader that has gone away (`| head -1`) must not end the tunnel.
  for (const stream of [stdout, stderr]) stream.on('error', () => undefined)

  const stopping = onceTold()
  try {
    const invocation = parseArgs(process.argv.slice(2), VERSION)
    if (invocation.kind === 'told') {
      stdout.write(invocation.text)
      return 0
    }
    const { flags, target } = invocation
    terminal = new Terminal({ ...plain, quiet: flags.quiet, target: parseTarget(target).label })
    const settings = await readSettings({
      flags,
      environment: env,
      readFile: (path) => readFile(path, 'utf8'),
      readStandardInput: () => text(process.stdin),
    })
    if (flags.basicAuth) terminal.warn(PASSWORD_ON_COMMAND_LINE)
    const { visitors, ...reach } = settings
    const tunnel = await connect({
      ...reach,
      ...visitors,
      target,
      holdMs: flags.hold,
      firstByteMs: flags.firstByte,
      connections: flags.connections,
      pool: flags.pool,
      upstreamProtocol: flags.upstreamProtocol,
      retry: flags.retry,
      signal: stopping.beforeReady,
      onStatus: (status) => terminal.status(status),
      onLocalServer: (fault) => terminal.localServer(fault),
      onNotice: (notice) => terminal.notice(notice),
    })
    stopping.nowStop(() => {
      terminal.closing()
      return tunnel.close()
    })
    const why = await tunnel.closed
    if (!why) return 0
    terminal.fault(why)
    return why.exit
  } catch (error) {
    if (stopping.beforeReady.aborted) return 0
    const fault = toFault(error)
    terminal.fault(fault)
    return fault.exit
  }
}

/** The first signal ends the tunnel in good order, whenever it comes; the second Ctrl+C ends the process. */
function onceTold() {
  const early = new AbortController()
  let stop = (): void => early.abort()
  let told = false
  const tell = (): void => {
    if (told) return
    told = true
    stop()
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
  // Started by another Node process over IPC: its end is ours, however it came.
  process.on('disconnect', tell)
  watchNpx({
    environment: process.env,
    processes: MACHINE,
    every(run) {
      const timer = setInterval(run, NPX_CHECK_MS).unref()
      return () => clearInterval(timer)
    },
    gone: tell,
  })
  return {
    /** Fires if we are told to stop before `nowStop` was called. */
    beforeReady: early.signal,
    nowStop(close: () => Promise<void>): void {
      stop = () => void close()
    },
  }
}

process.exit(await main())
