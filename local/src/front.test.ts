import { expect, test } from 'vitest'
import { frontOf, listenAddressOf, portOf } from './front.ts'

const FLAGS = { base: 'tunnel.example.com', 'trusted-proxy': ['127.0.0.0/8', '::1'] }

test('a base domain and its proxies make a front; agents connect to port 7000', () => {
  expect(frontOf(FLAGS)).toEqual({
    base: 'tunnel.example.com',
    trustedProxies: ['127.0.0.0/8', '::1'],
    channelPort: 7000,
    nestedNames: undefined,
  })
  expect(frontOf({ ...FLAGS, 'channel-port': '7443', 'nested-names': 'demo' })).toMatchObject({
    channelPort: 7443,
    nestedNames: 'demo',
  })
  for (const nestedNames of ['', '*', 'demo, shop'])
    expect(frontOf({ ...FLAGS, 'nested-names': nestedNames })).toMatchObject({ nestedNames })
  expect(frontOf({})).toBeUndefined()
})

test.each([
  [{ ...FLAGS, 'trusted-proxy': undefined }, '--trusted-proxy'],
  [{ ...FLAGS, 'trusted-proxy': ['nginx'] }, '--trusted-proxy nginx'],
  [{ ...FLAGS, 'trusted-proxy': ['10.0.0.1/8'] }, '--trusted-proxy 10.0.0.1/8'],
  [{ ...FLAGS, 'trusted-proxy': ['0.0.0.0/0'] }, '--trusted-proxy 0.0.0.0/0'],
  [{ ...FLAGS, base: 'Tunnel.example.com' }, '--base Tunnel.example.com'],
  [{ ...FLAGS, base: 'https://tunnel.example.com' }, '--base https'],
  [{ ...FLAGS, base: 'tunnel.example.com:8443' }, '--base tunnel.example.com:8443'],
  [{ ...FLAGS, 'channel-port': '70000' }, '--channel-port 70000'],
  [{ ...FLAGS, 'nested-names': 'Demo,x' }, '--nested-names Demo,x: expected'],
  [{ ...FLAGS, 'nested-names': ',' }, '--nested-names ,: expected'],
  [{ 'trusted-proxy': ['127.0.0.1'] }, '--trusted-proxy goes with --base'],
  [{ 'nested-names': 'demo' }, '--nested-names goes with --base'],
])('%j is refused: %s', (flags, why) => {
  expect(() => frontOf(flags)).toThrow(
    expect.objectContaining({ code: 'usage-invalid', detail: expect.stringContaining(why) }),
  )
})

test('an address to listen on is an IP address, and a port a number', () => {
  expect(['0.0.0.0', '::', '192.0.2.7', undefined].map((text) => listenAddressOf(text, frontOf(FLAGS), []))).toEqual([
    '0.0.0.0',
    '::',
    '192.0.2.7',
    undefined,
  ])
  for (const text of ['localhost', '127.0.0.1:8080', '[::1]', '*'])
    expect(() => listenAddressOf(text, frontOf(FLAGS), [])).toThrow(expect.objectContaining({ code: 'usage-invalid' }))
  expect(portOf('--port', '0')).toBe(0)
  expect(() => portOf('--port', '65536')).toThrow('--port 65536')
})

test('without a base domain, an address that localhost does not lead to is refused', () => {
  const localhost = ['127.0.0.1']
  for (const text of ['127.0.0.1', '0.0.0.0', '::']) expect(listenAddressOf(text, undefined, localhost)).toBe(text)
  expect(listenAddressOf('::1', undefined, [...localhost, '::1'])).toBe('::1')
  for (const text of ['::1', '127.0.0.2', '192.0.2.7'])
    expect(() => listenAddressOf(text, undefined, localhost)).toThrow(
      expect.objectContaining({
        code: 'usage-invalid',
        detail: expect.stringContaining(`--listen ${text} goes with --base`),
      }),
    )
})
