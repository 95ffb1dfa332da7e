import { describe, expect, test } from 'vitest'
import { NetworkList, parseNetwork } from './network.ts'

const listOf = (...texts: string[]) => new NetworkList(texts.map((text) => parseNetwork(text)!))

describe('a network', () => {
  test.each([
    ['10.0.0.0/8', { address: '10.0.0.0', prefix: 8, family: 'ipv4' }],
    ['0.0.0.0/0', { address: '0.0.0.0', prefix: 0, family: 'ipv4' }],
    ['192.0.2.7', { address: '192.0.2.7', prefix: 32, family: 'ipv4' }],
    ['2001:db8::/32', { address: '2001:db8::', prefix: 32, family: 'ipv6' }],
    ['::/0', { address: '::', prefix: 0, family: 'ipv6' }],
    ['::1', { address: '::1', prefix: 128, family: 'ipv6' }],
    ['2001:DB8:0:0:1::/80', { address: '2001:DB8:0:0:1::', prefix: 80, family: 'ipv6' }],
  ])('%s is read', (text, network) => {
    expect(parseNetwork(text)).toEqual(network)
  })

  test.each([
    '',
    '/8',
    '10',
    '10.0.0/8',
    '010.0.0.0/8',
    '0x0a.0.0.0/8',
    '256.0.0.0/8',
    '10.0.0.0/',
    '10.0.0.0/08',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/8 ',
    '10.0.0.0/8/8',
    '10.1.2.3/8',
    '10.0.0.1/31',
    '2001:db8::1/64',
    '2001:db8::/129',
    'fe80::1%eth0',
    '::ffff:10.0.0.0/104',
    '::ffff:a00:1',
    '*',
    'localhost',
  ])('%j is none', (text) => {
    expect(parseNetwork(text)).toBeUndefined()
  })
})

describe('a list of networks', () => {
  test('holds the first and the last address of a network and neither neighbour', () => {
    const list = listOf('192.0.2.64/26')
    expect(['192.0.2.63', '192.0.2.64', '192.0.2.127', '192.0.2.128'].map((ip) => list.holds(ip))).toEqual([
      false,
      true,
      true,
      false,
    ])
  })

  test('knows an IPv4 address in the disguise of IPv6, in any spelling', () => {
    const list = listOf('10.0.0.0/8')
    for (const ip of ['::ffff:10.1.2.3', '::FFFF:10.1.2.3', '::ffff:a01:203', '0:0:0:0:0:ffff:10.1.2.3'])
      expect(list.holds(ip)).toBe(true)
    expect(list.holds('::ffff:11.1.2.3')).toBe(false)
  })

  test('of all IPv6 addresses holds no IPv4 address, nor the other way round', () => {
    expect(listOf('::/0').holds('10.0.0.1')).toBe(false)
    expect(listOf('::/0').holds('::ffff:10.0.0.1')).toBe(false)
    expect(listOf('0.0.0.0/0').holds('2001:db8::1')).toBe(false)
  })

  test('looks past a zone', () => {
    expect(listOf('fe80::/10').holds('fe80::1%eth0')).toBe(true)
  })

  test('that is empty holds nobody', () => {
    expect(listOf().holds('127.0.0.1')).toBe(false)
  })

  test('has no answer about what is no address', () => {
    for (const text of ['', 'unknown', '10.0.0']) expect(listOf('0.0.0.0/0').holds(text)).toBeUndefined()
  })
})
