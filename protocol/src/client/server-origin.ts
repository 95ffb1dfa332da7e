/** Which servers may be told a token. Knows nothing of where their names come from. */
import { isIP } from 'node:net'
import { TunnelFault } from '../fault.ts'

/**
 * The origin of a server. A name alone means https. In clear only to this machine: the token would be readable on the way.
 *
 * @throws TunnelFault `config-invalid`
 */
export function parseServer(text: string): string {
  const whole = text.includes('://') ? text : `https://${text}`
  const url = URL.canParse(whole) ? new URL(whole) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || !url.hostname) throw badServer(text, 'expected https://<base domain>')
  if (url.username || url.password) throw new TunnelFault('config-invalid', 'The server must not hold credentials.')
  if (url.pathname !== '/' || url.search || url.hash) throw badServer(text, 'expected no path')
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    throw badServer(text, 'http:// would send the token in clear; only this machine may be spoken to so. Use https://')
  return url.origin
}

/** @param hostname as a URL has it: lower case, IPv4 normalised, IPv6 in brackets */
function isLoopback(hostname: string): boolean {
  if (hostname === '[::1]' || hostname === 'localhost' || hostname.endsWith('.localhost')) return true
  return isIP(hostname) === 4 && hostname.startsWith('127.')
}

const badServer = (text: string, why: string): TunnelFault =>
  new TunnelFault('config-invalid', `${JSON.stringify(text)} is no usable server: ${why}.`)
