/** Reads one PROXY protocol v1 header, a line of text (haproxy.org/download/2.9/doc/proxy-protocol.txt §2.1). */
import { isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'
import { TunnelFault } from '../fault.ts'
import { PROXY_TEXT_HEADER_BYTES } from '../limits.ts'
import type { ProxyHeader } from './proxy-header.ts'

/** A request may have the method PROXY, and then goes on with a slash: no target begins with one of these words. */
const BEGINNINGS = ['PROXY TCP4 ', 'PROXY TCP6 ', 'PROXY UNKNOWN']
const LINE = /^PROXY (?:UNKNOWN|(?:(TCP4|TCP6)|UNKNOWN) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (\d{1,5}) (\d{1,5}))$/
const MOST_PORT = 65_535

const invalid = (detail: string): ProxyHeader => ({
  kind: 'invalid',
  fault: new TunnelFault('proxy-header-invalid', detail),
})

/** Judges the first bytes of a connection that does not begin with the signature of version 2. */
export function parseProxyTextHeader(bytes: Buffer): ProxyHeader {
  const text = bytes.toString('latin1', 0, PROXY_TEXT_HEADER_BYTES)
  const beginning = BEGINNINGS.find((each) => text.startsWith(each) || each.startsWith(text))
  if (beginning === undefined) return { kind: 'absent' }
  if (text.length <= beginning.length) return { kind: 'incomplete' }
  const end = text.indexOf('\r\n')
  if (end >= 0) return parseLine(text.slice(0, end), end + 2)
  if (text.length === PROXY_TEXT_HEADER_BYTES) return invalid(`It is longer than ${PROXY_TEXT_HEADER_BYTES} bytes.`)
  return { kind: 'incomplete' }
}

/** Strict: two spaces, a port with a leading zero or a word too many make it another line. */
function parseLine(line: string, bytes: number): ProxyHeader {
  const found = LINE.exec(line)
  if (found === null) return invalid('Its line is none of version 1.')
  const [, family, source = '', destination = '', ...ports] = found
  if (family === undefined) return { kind: 'header', bytes, source: undefined }
  const isAddress = family === 'TCP4' ? isIPv4 : isIPv6
  if (!isAddress(source) || !isAddress(destination)) return invalid('Its addresses are not of its family.')
  if (!ports.every(isPort)) return invalid('Its ports are none.')
  return { kind: 'header', bytes, source: { address: ipaddr.process(source).toString(), port: Number(ports[0]) } }
}

const isPort = (text: string): boolean => Number(text) <= MOST_PORT && String(Number(text)) === text
