/** The keys of one deployment: read from a secret, rotated by a list, used only as derived subkeys. */
import { hkdfSync } from 'node:crypto'
import * as z from 'zod/mini'
import { TunnelFault } from '../fault.ts'

const KEY_BYTES = 32

/** What a subkey is for; each is the `info` of HKDF (RFC 5869 §2.3), so that no two uses share a key. */
const INFO = {
  seal: 'postern seal v1',
  observation: 'postern observation v1',
  hop: 'postern hop v1',
  workerId: 'postern worker id v1',
  visitorCookie: 'postern visitor cookie v1',
  grant: 'postern grant key v1',
  id: 'postern key id v1',
} as const

export type KeyPurpose = Exclude<keyof typeof INFO, 'id'>

/** One key of the list. The key itself cannot be taken out, only its subkeys. */
export class DeploymentKey {
  /** 8 hex digits that name this key in everything sealed or signed with it. */
  readonly id: string
  readonly #derive: (purpose: keyof typeof INFO, bytes: number) => Uint8Array
  readonly #subkeys = new Map<KeyPurpose, Uint8Array>()

  constructor(bytes: Uint8Array) {
    this.#derive = (purpose, length) =>
      new Uint8Array(hkdfSync('sha256', bytes, new Uint8Array(0), INFO[purpose], length))
    this.id = Buffer.from(this.#derive('id', 4)).toString('hex')
  }

  /** 32 bytes that serve this purpose and no other. */
  subkey(purpose: KeyPurpose): Uint8Array {
    let subkey = this.#subkeys.get(purpose)
    if (subkey === undefined) {
      subkey = this.#derive(purpose, KEY_BYTES)
      this.#subkeys.set(purpose, subkey)
    }
    return subkey
  }
}

/** `current` seals and signs; what any of `accepted` or `current` has sealed or signed is still read. */
export interface DeploymentKeys {
  readonly current: DeploymentKey
  readonly accepted: readonly DeploymentKey[]
}

const hexKey = z.string().check(z.regex(/^[0-9a-f]{64}$/i))
const secretSchema = z.strictObject({ current: hexKey, accepted: z.array(hexKey) })

/**
 * The keys of a secret's text, `{"current": "<64 hex>", "accepted": ["<64 hex>", …]}`.
 * @throws TunnelFault `config-invalid`; the text is never part of it.
 */
export function parseDeploymentKeys(text: string): DeploymentKeys {
  const secret = secretSchema.safeParse(readJson(text))
  if (!secret.success) {
    throw new TunnelFault('config-invalid', 'A key secret is {"current", "accepted"} with keys of 64 hex digits.')
  }
  const key = (hex: string): DeploymentKey => new DeploymentKey(Buffer.from(hex, 'hex'))
  return { current: key(secret.data.current), accepted: secret.data.accepted.map(key) }
}

/** The text of a new secret with one fresh key. */
export const newDeploymentSecret = (random: (bytes: number) => Uint8Array): string =>
  JSON.stringify({ current: Buffer.from(random(KEY_BYTES)).toString('hex'), accepted: [] })

/** The key that `id` names, if it is still accepted. */
export const keyById = (keys: DeploymentKeys, id: string): DeploymentKey | undefined =>
  keys.current.id === id ? keys.current : keys.accepted.find((key) => key.id === id)

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The syntax error would quote the secret; the caller's fault says all that may be said.
    return undefined
  }
}
