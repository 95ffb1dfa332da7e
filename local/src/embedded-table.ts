/** A DynamoDB of one's own: dynalite on 127.0.0.1, in memory or on disk, with the project's table in it. */
import { EventEmitter, once } from 'node:events'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { TunnelFault } from '@postern/protocol/fault'
import { createDynamoClient, createTable } from '@postern/protocol/store'
import { ClassicLevel } from 'classic-level'
import dynalite from 'dynalite'

export interface EmbeddedTable {
  /** For `createDynamoClient`. */
  readonly endpoint: string
  readonly tableName: string
  /** Resolves when the files are closed and another process may open them. Harmless when repeated. */
  stop(): Promise<void>
}

export interface EmbeddedTableOptions {
  /** A folder, made when missing; without it everything is in memory and gone with `stop`. */
  path?: string
  port?: number
  tableName?: string
}

/**
 * Serves the table until `stop`. What an earlier start has left under `path` is there again.
 * @throws TunnelFault `port-taken`, or `config-invalid` if `path` cannot be used, for instance because it is in use.
 */
export async function startEmbeddedTable(options: EmbeddedTableOptions = {}): Promise<EmbeddedTable> {
  const { path, port = 0, tableName = 'postern' } = options
  if (path !== undefined) await proveUsable(path)
  const server = dynalite({ createTableMs: 0, ...(path !== undefined && { path }) })
  const operations = new Operations()
  surviveCutRequests(server, operations)
  keepConnections(server)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening').catch((cause: unknown) => {
    throw new TunnelFault('port-taken', `The embedded table wants port ${port}.`, { cause })
  })
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= operations.end().then(() => close(server))
    return stopped
  }

  const client = createDynamoClient({ endpoint })
  try {
    await createTable({ tableName, client })
  } catch (error) {
    await stop()
    throw error
  } finally {
    client.destroy()
  }
  return { endpoint, tableName, stop }
}

/** Opens the files once and closes them: dynalite ends the process when it cannot open them. */
async function proveUsable(path: string): Promise<void> {
  const files = new ClassicLevel(path)
  try {
    await files.open()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.cause : undefined
    const inUse = reason instanceof Error && 'code' in reason && reason.code === 'LEVEL_LOCKED'
    const detail = inUse ? `${path} is in use by another process.` : `The table in ${path} cannot be opened.`
    throw new TunnelFault('config-invalid', detail, { cause })
  } finally {
    await files.close()
  }
}

/** dynalite throws on a request that breaks off, out of an event and so out of the process: one killed client would end it. */
function surviveCutRequests(server: Server, operations: Operations): void {
  const [handle] = server.listeners('request') as RequestListener[]
  if (handle === undefined) throw new TunnelFault('internal-error', 'dynalite has no request listener.')
  server.removeAllListeners('request')
  server.on('request', (request, response) => {
    if (!operations.begin(request, response)) return void request.socket.destroy()
    handle(request, response)
    request.removeAllListeners('error')
    request.on('error', () => response.destroy())
  })
}

/**
 * What clients have begun, also those that have gone meanwhile: dynalite closes its files as soon as no connection is open, and an operation
 * that finds them closed throws out of the process.
 */
class Operations {
  readonly #underWay = new Set<ServerResponse>()
  readonly #none = new EventEmitter()
  #ended = false

  /** Counts one until it is answered. False: none begins any more. */
  begin(request: IncomingMessage, response: ServerResponse): boolean {
    if (this.#ended) return false
    this.#underWay.add(response)
    const over = (): void => {
      if (this.#underWay.delete(response) && this.#underWay.size === 0) this.#none.emit('none')
    }
    const answer = response.end.bind(response) as (...args: unknown[]) => ServerResponse
    response.end = (...args: unknown[]) => {
      over()
      return answer(...args)
    }
    // Of a request that breaks off before it is whole nothing is begun.
    response.on('close', () => {
      if (!request.complete) over()
    })
    return true
  }

  /** No further one begins. Resolves when those under way are answered. */
  async end(): Promise<void> {
    this.#ended = true
    if (this.#underWay.size > 0) await once(this.#none, 'none')
  }
}

/**
 * Node's server ends a connection that was idle for 5 s, perhaps just as its next request is on its way: ECONNRESET, which a deletion must not
 * answer by trying again (protocol/src/store/table.ts). So they stand until the client goes, or the table.
 */
function keepConnections(server: Server): void {
  server.keepAliveTimeout = 0
  server.on('request', ({ socket }, response) => {
    response.on('finish', () => {
      if (!server.listening) socket.end()
    })
  })
}

const close = (server: Server): Promise<void> =>
  new Promise((resolve, reject) => {
    server.close((error) => (error ? reject(error) : resolve()))
    server.closeIdleConnections()
  })
