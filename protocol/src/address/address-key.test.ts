import { expect, test } from 'vitest'
import { addressKey } from './address-key.ts'

test.each([
  ['192.0.2.7', 'observed', '192.0.2.7'],
  ['192.0.2.7', 'strict', '192.0.2.7'],
  ['::ffff:192.0.2.7', 'strict', '192.0.2.7'],
  ['::FFFF:c000:207', 'observed', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', 'observed', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2:FFFF::1', 'observed', '2001:db8:1:2::/64'],
  ['2001:db8::', 'observed', '2001:db8::/64'],
  ['2001:db8:1:2:3:4:5:6', 'strict', '2001:db8:1:2:3:4:5:6/128'],
  ['2001:0db8:0001::0001', 'strict', '2001:db8:1::1/128'],
  ['fe80::1%eth0', 'strict', 'fe80::1/128'],
  ['127.0.0.1', 'observed', '127.0.0.1'],
  ['::1', 'observed', '::/64'],
  ['::1', 'strict', '::1/128'],
  ['192.0.2.7', 'off', '*'],
  ['2001:db8::1', 'off', '*'],
] as const)('%s under %s is %s', (ip, policy, key) => {
  expect(addressKey(ip, policy)).toBe(key)
})

test('both loopbacks are one address only where that was asked for, and their neighbours never are', () => {
  expect(addressKey('::1', 'strict', 'one')).toBe(addressKey('127.0.0.1', 'strict', 'one'))
  expect(addressKey('::1', 'strict')).not.toBe(addressKey('127.0.0.1', 'strict'))
  expect(addressKey('127.0.0.2', 'strict', 'one')).toBe('127.0.0.2')
  expect(addressKey('::2', 'observed', 'one')).not.toBe('127.0.0.1')
})

test('addresses of one /64 are one under observed and two under strict', () => {
  const [a, b, other] = ['2001:db8::1', '2001:db8::2', '2001:db8:0:1::1']
  expect(addressKey(a, 'observed')).toBe(addressKey(b, 'observed'))
  expect(addressKey(a, 'observed')).not.toBe(addressKey(other, 'observed'))
  expect(addressKey(a, 'strict')).not.toBe(addressKey(b, 'strict'))
})

test.each([
  '',
  'localhost',
  '192.0.2',
  '192.0.2.256',
  '0x7f.1',
  '1',
  '192.0.2.7:80',
  '[::1]',
  ':::1',
  '*',
  '192.0.2.7 ',
])('what cannot be read as an address (%j) is on no list', (ip) => {
  for (const policy of ['strict', 'observed'] as const) {
    expect(() => addressKey(ip, policy)).toThrowError(expect.objectContaining({ code: 'ip-not-allowed' }))
  }
})
