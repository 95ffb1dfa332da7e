/** Finds out, before anything is started, whether visitors can be served on a port. Binds it for a moment and lets go. */
import net, { type AddressInfo } from 'node:net'
import { TunnelFault } from '@postern/protocol/fault'

export interface PublicPlace {
  /** Addresses of this machine; ::1 is missing where IPv6 is switched off. */
  readonly hosts: readonly string[]
  readonly port: number
}

/**
 * @param listen one address, instead of loopback
 * @param wanted 0: any port that is free
 * @throws TunnelFault `port-taken`
 */
export async function findPublicPlace(wanted: number, listen?: string): Promise<PublicPlace> {
  if (listen !== undefined) {
    const found = await tryPort(listen, wanted)
    if (found !== undefined) return { hosts: [listen], port: found }
    throw new TunnelFault('config-invalid', `This machine has no ${listen}.`)
  }
  const port = await tryPort('127.0.0.1', wanted)
  if (port === undefined) throw new TunnelFault('config-invalid', 'This machine has no 127.0.0.1.')
  const six = await tryPort('::1', port)
  return { hosts: six === undefined ? ['127.0.0.1'] : ['127.0.0.1', '::1'], port }
}

/** Every address of this machine, of both families where it has both. @throws TunnelFault `port-taken` */
export async function anyAddress(port: number): Promise<string> {
  return (await tryPort('::', port)) === undefined ? '0.0.0.0' : '::'
}

/** @returns the port; undefined if the machine has no such address */
function tryPort(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EADDRNOTAVAIL' || cause.code === 'EAFNOSUPPORT') resolve(undefined)
      else if (cause.code === 'EADDRINUSE') reject(new TunnelFault('port-taken', `It is ${host}:${port}.`, { cause }))
      else reject(new TunnelFault('config-invalid', `${host}:${port}: ${cause.message}.`, { cause }))
    })
    server.listen({ host, port, exclusive: true }, () => {
      const bound = (server.address() as AddressInfo).port
      server.close(() => resolve(bound))
    })
  })
}
