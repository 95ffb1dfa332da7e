/** Terminates visitors' TLS, as a balancer does, and passes the bytes to a port of 127.0.0.1. */
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import tls from 'node:tls'
import { selfSigned } from '../support/self-signed.ts'

export class TlsFronts {
  /** Self-signed, in PEM. */
  readonly certificate: string
  readonly #key: string
  readonly #servers: tls.Server[] = []
  readonly #sockets = new Set<net.Socket>()

  /** @param domain the certificate covers it and `*.domain`. @throws Error where there is no OpenSSL */
  constructor(domain: string) {
    const made = selfSigned(domain)
    if (made === undefined) throw new Error('a certificate needs openssl on the PATH')
    this.certificate = made.cert
    this.#key = made.key
  }

  /** @returns the port of a front before `port` */
  async before(port: number): Promise<number> {
    const server = tls
      .createServer({ key: this.#key, cert: this.certificate, allowHalfOpen: true }, (visitor) => {
        const inner = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
        for (const [socket, other] of [
          [visitor, inner],
          [inner, visitor],
        ] as const) {
          this.#sockets.add(socket)
          socket.once('close', () => this.#sockets.delete(socket))
          // A reset on one side resets the other.
          socket.on('error', () => other.destroy())
          socket.pipe(other)
        }
      })
      .listen(0, '127.0.0.1')
    await once(server, 'listening')
    this.#servers.push(server)
    return (server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    const closed = this.#servers.splice(0).map((server) => once(server.close(), 'close'))
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(closed)
  }
}
