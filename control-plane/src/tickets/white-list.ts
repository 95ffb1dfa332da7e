/** The addresses a ticket is good from: the caller's, and what the channel server saw of the same caller. */
import { addressKey } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { TICKET_ADDRESSES } from '@postern/protocol/limits'
import type { Stores, Token } from '@postern/protocol/store'
import { type DeploymentKeys, verifyObservation } from '@postern/protocol/ticket'
import type { Settings } from '../settings.ts'

interface WhiteListCall {
  sourceIp: string
  observation: string | undefined
  token: Token
  now: number
}

/**
 * Address keys, never empty. An observation counts only for the token whose ticket was presented from the observed
 * address: whoever overhears an id learns nothing that they could use. The former ticket's addresses stay on the list, so
 * that an agent with several exits is not sent in circles; the newest come first, and what is beyond four is dropped.
 * @throws TunnelFault `observation-refused`
 */
export async function whiteList(
  { sourceIp, observation, token, now }: WhiteListCall,
  { stores, keys, settings }: { stores: Pick<Stores, 'tickets'>; keys: DeploymentKeys; settings: Settings },
): Promise<Set<string>> {
  const keyOf = (ip: string): string => addressKey(ip, settings.ipPolicy, settings.loopback)
  const addresses = new Set([keyOf(sourceIp)])
  if (observation === undefined) return addresses
  if (settings.ipPolicy === 'strict') {
    throw new TunnelFault('observation-refused', 'This server takes a ticket only from the address that asked for it.')
  }
  const { seenIp, idHash } = verifyObservation(observation, keys, now)
  const former = await stores.tickets.find(idHash)
  if (former?.tokenHash !== token.tokenHash) {
    throw new TunnelFault('observation-refused', 'It is not about a ticket of this token.')
  }
  for (const address of [keyOf(seenIp), ...former.allowedIps]) {
    if (addresses.size < TICKET_ADDRESSES) addresses.add(address)
  }
  return addresses
}
