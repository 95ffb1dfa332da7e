/** TLS 1.3 with the ticket's key as external PSK (RFC 8446 §4.2.11), both ends. Knows nothing of tickets, answer lines or deadlines. */
import { constants } from 'node:crypto'
import type net from 'node:net'
import tls from 'node:tls'
import { TunnelFault } from '../fault.ts'

const PARAMETERS: tls.SecureContextOptions = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  // An external PSK is bound to SHA-256 (RFC 8446 §4.2.11): TLS_AES_256_GCM_SHA384 fails with it.
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
  ecdhCurve: 'X25519',
  // With resumption a session of one channel would open another's ticket.
  secureOptions: constants.SSL_OP_NO_TICKET,
  // No certificate authority at all: nothing but the key can prove who is there.
  ca: [],
}

/** Made once: a context costs more than the handshake. */
const CONTEXT = tls.createSecureContext(PARAMETERS)

/** A handshake under way. */
export interface Handshake {
  readonly socket: tls.TLSSocket
  /** Emitted when TLS is satisfied. Only then ask `proof`. */
  readonly event: 'secure' | 'secureConnect'
  /** Undefined if the peer has proven the key on this very socket; otherwise `key-mismatch`. */
  proof(): TunnelFault | undefined
}

/** Server end: only `identity` has a key, and only a handshake that asked for it on this socket proves anything. */
export function secureServer(
  raw: net.Socket,
  identity: string,
  key: Uint8Array,
  secureContext: tls.SecureContext = CONTEXT,
): Handshake {
  return secureServerOf(raw, (offered) => (offered === identity ? key : undefined), secureContext)
}

/** Server end for whoever names itself in the handshake. `identity` is what it proved; ask it after `proof`. */
export function secureServerOf(
  raw: net.Socket,
  keyOf: (identity: string) => Uint8Array | undefined,
  secureContext: tls.SecureContext = CONTEXT,
): Handshake & { identity(): string } {
  let proven: string | undefined
  const socket = new tls.TLSSocket(raw, {
    isServer: true,
    secureContext,
    pskCallback: (_socket: tls.TLSSocket, offered: string) => {
      const key = keyOf(offered)
      proven = key && offered
      return key ?? null
    },
  } as tls.TLSSocketOptions)
  destroyOnTlsError(socket)
  // OpenSSL counts an accepted PSK as a resumed session; one that was really resumed was given no key, should it have asked for one by its ticket's bytes.
  const proof = () => (proven !== undefined && socket.isSessionReused() ? undefined : notProven())
  return { socket, event: 'secure', proof, identity: () => proven ?? '' }
}

/** Agent end: whoever answers with a certificate, however well trusted, is not the server. */
export function secureAgent(
  raw: net.Socket,
  identity: string,
  key: Uint8Array,
  secureContext: tls.SecureContext = CONTEXT,
): Handshake {
  let asked = false
  const socket = tls.connect({
    socket: raw,
    secureContext,
    pskCallback: () => {
      asked = true
      return { psk: key, identity }
    },
    rejectUnauthorized: true,
    // A PSK handshake never comes here. One by certificate does, and the usual example's `() => undefined` would let it pass.
    checkServerIdentity: () => notProven(),
  })
  destroyOnTlsError(socket)
  const proof = () =>
    asked && socket.isSessionReused() && socket.getPeerX509Certificate() === undefined ? undefined : notProven()
  return { socket, event: 'secureConnect', proof }
}

const notProven = (): TunnelFault => new TunnelFault('key-mismatch')

/** A TLSSocket that no tls.Server made reports a broken record by '_tlsError' alone and stays open; ours ends. */
function destroyOnTlsError(socket: tls.TLSSocket): void {
  socket.on('_tlsError', (error: Error) => socket.destroy(error))
}
