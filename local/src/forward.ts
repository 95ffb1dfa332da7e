/** Leads a connection on to a task, behind a PROXY header that says who made it. Knows nothing of which task that is or why. */
import { connect, type Socket } from 'node:net'
import { proxyHeader } from './proxy-header.ts'
import { splice } from './splice.ts'

/**
 * @param client accepted a moment ago, with `allowHalfOpen`; nothing has been read from it
 * @param port of the task, on 127.0.0.1
 * @param gone is called instead, with `client` untouched, if nobody listens there
 * @returns the connection to the task
 */
export function forward(client: Socket, port: number, gone: (error: Error) => void): Socket {
  const { remoteAddress = '0.0.0.0', remotePort = 0, localAddress = '0.0.0.0', localPort = 0 } = client
  const task = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
  const left = (): void => {
    task.destroy()
  }
  client.on('error', left).on('close', left)
  task.once('error', gone)
  task.once('connect', () => {
    task.off('error', gone)
    client.off('error', left).off('close', left)
    task.write(proxyHeader({ address: remoteAddress, port: remotePort }, { address: localAddress, port: localPort }))
    splice(client, task)
  })
  return task
}
