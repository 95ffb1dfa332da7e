import { parseProxyHeader } from '@postern/protocol/channel'
import { expect, test } from 'vitest'
import { LOCAL_HEADER, proxyHeader } from './proxy-header.ts'

test.each([
  ['192.0.2.7', '10.0.0.1', '192.0.2.7'],
  ['2001:db8::7', '2001:db8:0:1::1', '2001:db8::7'],
  ['::1', '::1', '::1'],
  ['::ffff:192.0.2.7', '::1', '192.0.2.7'],
  ['192.0.2.7', '::1', '192.0.2.7'],
  ['fe80::1%eth0', 'fe80::2', 'fe80::1'],
])('a header from %s to %s is read as one from %s', (source, destination, address) => {
  const header = proxyHeader({ address: source, port: 51_234 }, { address: destination, port: 443 })
  expect(parseProxyHeader(header)).toEqual({ kind: 'header', bytes: header.length, source: { address, port: 51_234 } })
})

test('a header of the balancer itself names nobody', () => {
  expect(parseProxyHeader(LOCAL_HEADER)).toEqual({ kind: 'header', bytes: LOCAL_HEADER.length, source: undefined })
})
