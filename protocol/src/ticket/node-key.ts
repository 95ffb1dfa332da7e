/** The key of one process of a node. Its public half is the boot id, so that a process proves to be the one that a route names. */
import { generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { publicBytes, verifyingKey } from './signing-key.ts'

/** A boot id that is a public key, in hex. Nodes of versions without it have a UUID there. */
const KEY = /^[0-9a-f]{64}$/

export class NodeKey {
  /** The public half: 64 hex digits. */
  readonly bootId: string
  readonly #key: KeyObject

  constructor() {
    this.#key = generateKeyPairSync('ed25519').privateKey
    this.bootId = publicBytes(this.#key).toString('hex')
  }

  /** @param binding what no other connection has: keying material of its TLS (RFC 5705) */
  prove(binding: Uint8Array): string {
    return sign(undefined, textOf(binding), this.#key).toString('base64url')
  }
}

/** Whether a process of that boot id can prove that it is. */
export const canProve = (bootId: string): boolean => KEY.test(bootId)

export function isProvenBy(bootId: string, binding: Uint8Array, proof: string): boolean {
  const key = KEY.test(bootId) ? verifyingKey(Buffer.from(bootId, 'hex')) : undefined
  return key !== undefined && verify(undefined, textOf(binding), key, Buffer.from(proof, 'base64url'))
}

const textOf = (binding: Uint8Array): Buffer =>
  Buffer.from(JSON.stringify(['postern node v1', Buffer.from(binding).toString('hex')]))
