/** What proves to other nodes that a node may serve a name: a grant of the control plane, and the node's signature under the key of the grant. */
import { hkdfSync, type KeyObject, sign, verify } from 'node:crypto'
import type { DeploymentKey, DeploymentKeys } from './deployment-keys.ts'
import { publicBytes, signingKey, verifyingKey } from './signing-key.ts'

/** What the control plane has granted: this name to whoever has the key of the ticket. All of it stands in the ticket and in the row of the route. */
export interface GrantedName {
  readonly name: string
  readonly username: string
  readonly reservationId: string
  readonly tokenHash: string
}

/** The process that a route names. */
export interface NameHolder {
  readonly taskId: string
  readonly bootId: string
}

/** The grant, `<key id>.<time of issue, ms since 1970 in base 36>.<public key of the ticket>.<signature of the control plane>`, and `.<signature of the ticket's key>`. */
const PROOF = /^([0-9a-f]{8})\.([0-9a-z]{1,11})\.([\w-]{43})\.([\w-]{86})\.([\w-]{86})$/

/**
 * Grants the name to the key of one ticket, with the current key.
 * @param encryptionKey the ticket's; its signing key is derived from it, so that only who opens the ticket can use the grant
 * @param issuedAt milliseconds since 1970
 */
export function signGrant(
  granted: GrantedName,
  { encryptionKey, issuedAt }: { readonly encryptionKey: Uint8Array; readonly issuedAt: number },
  { current }: DeploymentKeys,
): string {
  const key = publicBytes(ticketKey(encryptionKey)).toString('base64url')
  const time = issuedAt.toString(36)
  const signature = sign(undefined, grantText(granted, time, key), grantKey(current)).toString('base64url')
  return `${current.id}.${time}.${key}.${signature}`
}

/** The proof for the row of a route: the grant, and behind it that its key names `holder`. */
export const proveClaim = (grant: string, encryptionKey: Uint8Array, holder: NameHolder): string =>
  `${grant}.${sign(undefined, holderText(holder), ticketKey(encryptionKey)).toString('base64url')}`

export interface ProofFacts {
  readonly keyId: string
  /** When the ticket was issued: milliseconds since 1970. */
  readonly issuedAt: number
}

/** What the text of a proof names, whether it is true or not; undefined: it has no such form. */
export function proofFacts(proof: string): ProofFacts | undefined {
  const [, keyId, time] = PROOF.exec(proof) ?? []
  return keyId === undefined || time === undefined ? undefined : { keyId, issuedAt: Number.parseInt(time, 36) }
}

/** Whether `key`, the one that the proof names, granted the name, and the key of that grant names the holder. */
export function isProven(proof: string, route: GrantedName & NameHolder, key: KeyObject): boolean {
  const [, , time = '', ticketKeyText = '', granted = '', claimed = ''] = PROOF.exec(proof) ?? []
  const holderKey = verifyingKey(Buffer.from(ticketKeyText, 'base64url'))
  return (
    holderKey !== undefined &&
    verify(undefined, grantText(route, time, ticketKeyText), key, Buffer.from(granted, 'base64url')) &&
    verify(undefined, holderText(route), holderKey, Buffer.from(claimed, 'base64url'))
  )
}

/** What the control plane publishes of its keys: `<key id>.<public key in hex>` for each. */
export const publishedKeys = ({ current, accepted }: DeploymentKeys): Set<string> =>
  new Set([current, ...accepted].map((key) => `${key.id}.${publicBytes(grantKey(key)).toString('hex')}`))

/** Published keys by their ids; a text of another form is passed over. */
export function readPublishedKeys(texts: Iterable<string>): ReadonlyMap<string, KeyObject> {
  const keys = new Map<string, KeyObject>()
  for (const text of texts) {
    const [, id, hex] = /^([0-9a-f]{8})\.([0-9a-f]{64})$/.exec(text) ?? []
    const key = hex === undefined ? undefined : verifyingKey(Buffer.from(hex, 'hex'))
    if (id !== undefined && key !== undefined) keys.set(id, key)
  }
  return keys
}

const grantKey = (key: DeploymentKey): KeyObject => signingKey(key.subkey('grant'))

const ticketKey = (encryptionKey: Uint8Array): KeyObject =>
  signingKey(new Uint8Array(hkdfSync('sha256', encryptionKey, new Uint8Array(0), 'postern ticket signature v1', 32)))

// JSON of a list: no two of them have the same bytes, and the first word keeps the two kinds apart.
const grantText = ({ name, username, reservationId, tokenHash }: GrantedName, time: string, key: string): Buffer =>
  Buffer.from(JSON.stringify(['postern grant v1', name, username, reservationId, tokenHash, time, key]))

const holderText = ({ taskId, bootId }: NameHolder): Buffer =>
  Buffer.from(JSON.stringify(['postern holder v1', taskId, bootId]))
