/** Runs a local server of other people as a process, on the port of 127.0.0.1 that its output names. */
import { spawn } from 'node:child_process'

const PATIENCE_MS = 60_000
/** How most servers print where they listen. */
const ADDRESS = /127\.0\.0\.1(?::| port )(\d+)(?=\D)/

export interface ServerProcess {
  readonly port: number
  stop(): Promise<void>
}

export interface ServerOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

/** Resolves when the server has printed its port. @throws Error with its output when it ends first, or after 60 s */
export async function startServer(
  command: string,
  args: readonly string[],
  options: ServerOptions = {},
): Promise<ServerProcess> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = new Promise((resolve) => child.once('close', resolve))
  let output = ''
  try {
    const port = await new Promise<number>((resolve, reject) => {
      const failed = (why: string): void => {
        clearTimeout(late)
        reject(new Error(`${command} ${args.join(' ')}: ${why}\n${output}`))
      }
      const late = setTimeout(() => failed(`no port in ${PATIENCE_MS} ms`), PATIENCE_MS)
      const read = (text: string): void => {
        output += text
        const port = ADDRESS.exec(output)?.[1]
        if (port === undefined) return
        clearTimeout(late)
        // Later output is read so that the server never waits for a reader, and dropped.
        for (const stream of [child.stdout, child.stderr]) stream.off('data', read).resume()
        resolve(Number(port))
      }
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', read)
      child.once('error', (error) => failed(error.message))
      child.once('exit', (code) => failed(`exit code ${code}`))
    })
    return {
      port,
      async stop() {
        child.kill('SIGTERM')
        await exited
      },
    }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}
