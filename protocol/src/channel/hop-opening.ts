/**
 * Both ends of the opening of a hop, the channel from one task to another: TLS 1.3 with the deployment's hop key, and nothing in clear before it.
 * Knows nothing of what the channel carries.
 */
import type net from 'node:net'
import type tls from 'node:tls'
import { TunnelFault } from '../fault.ts'
import { HOP_OPENING_MS } from '../limits.ts'
import { type DeploymentKeys, keyById } from '../ticket/deployment-keys.ts'
import { OpeningSocket } from './opening-socket.ts'
import { secureAgent, secureServerOf } from './secure.ts'

/** Who is at the other end. Whoever holds the key may say so, and only tasks hold it. */
export interface HopPeer {
  readonly taskId: string
  readonly bootId: string
}

/** `hop:<taskId>:<bootId>:<key id>`: the last part says which of the accepted keys is meant, so that they can be rotated. */
const IDENTITY = /^hop:([A-Za-z0-9._-]{1,64}):([A-Za-z0-9-]{1,64}):([0-9a-f]{8})$/

const BINDING_BYTES = 32

interface HopOptions {
  readonly signal?: AbortSignal
  /** Until the key is proven, in milliseconds; HOP_OPENING_MS unless told. */
  readonly timeoutMs?: number
}

/**
 * The end that listens. Resolves with the secured socket, paused, of a peer that has proven the key.
 * Rejects, the socket destroyed, with `key-mismatch`, `opening-timeout` or `channel-lost`.
 */
export async function acceptHop(
  raw: net.Socket,
  keys: DeploymentKeys,
  options: HopOptions = {},
): Promise<{ socket: tls.TLSSocket; peer: HopPeer }> {
  let identity = (): string => ''
  const socket = await opened(raw, options, (bare) => {
    const handshake = secureServerOf(bare, (offered) => keyOf(offered, keys))
    identity = handshake.identity
    return handshake
  })
  const [, taskId = '', bootId = ''] = IDENTITY.exec(identity()) ?? []
  return { socket, peer: { taskId, bootId } }
}

/** What both ends of this connection have and no other connection has (RFC 5705, RFC 9266): a proof over it cannot be passed on from another one. */
export const hopBinding = (socket: tls.TLSSocket): Buffer =>
  socket.exportKeyingMaterial(BINDING_BYTES, 'EXPORTER-postern-hop', Buffer.alloc(0))

/** The end that calls, on a socket that is connected or connecting. Rejects as `acceptHop`. */
export async function openHop(
  raw: net.Socket,
  self: HopPeer,
  keys: DeploymentKeys,
  options: HopOptions = {},
): Promise<tls.TLSSocket> {
  const { current } = keys
  const identity = `hop:${self.taskId}:${self.bootId}:${current.id}`
  return await opened(raw, options, (bare) => secureAgent(bare, identity, current.subkey('hop')))
}

async function opened(
  raw: net.Socket,
  { signal, timeoutMs = HOP_OPENING_MS }: HopOptions,
  begin: Parameters<OpeningSocket['secure']>[0],
): Promise<tls.TLSSocket> {
  const owner = new OpeningSocket(raw, signal)
  try {
    owner.expireIn(timeoutMs, () => new TunnelFault('opening-timeout'))
    await owner.secure(begin)
    return owner.releaseSecured()
  } catch (error) {
    owner.destroy()
    throw error
  }
}

function keyOf(identity: string, keys: DeploymentKeys): Uint8Array | undefined {
  const id = IDENTITY.exec(identity)?.[3]
  return id === undefined ? undefined : keyById(keys, id)?.subkey('hop')
}
