import { TunnelFault } from '@postern/protocol/fault'
import { expect, test } from 'vitest'
import { NestedNames } from './nested-names.ts'
import { Redirect, Redirector } from './redirector.ts'

const redirector = new Redirector('example.com', 'https://{subdomain}.example.com')

test.each([
  ['demo.example.com', 'https://demo.example.com'],
  ['demo.example.com:80', 'https://demo.example.com'],
  ['demo.example.com.', 'https://demo.example.com'],
  ['DEMO.Example.COM', 'https://demo.example.com'],
  ['example.com', 'https://example.com'],
  ['example.com:8080', 'https://example.com'],
])('%s is at %s', (host, origin) => {
  expect(redirector.find(host)).toEqual(new Redirect(origin))
})

test.each([
  '',
  'example.org',
  'demo.example.org',
  'demo.example.com.evil.org',
  'evil-example.com',
  '-demo.example.com',
  'xn--demo.example.com',
  'admin.example.com',
  'demo.example.com@evil.org',
  '127.0.0.1',
  '[::1]:80',
])('%j is not ours', (host) => {
  const found = redirector.find(host)
  expect(found).toBeInstanceOf(TunnelFault)
  expect(found).toMatchObject({ code: 'host-unknown' })
})

test('another port than 443 is kept', () => {
  const elsewhere = new Redirector('example.com', 'https://{subdomain}.example.com:8443')
  expect(elsewhere.find('demo.example.com')).toEqual(new Redirect('https://demo.example.com:8443'))
})

test('a host below a name is sent to https where there is a certificate for it', () => {
  const nested = new NestedNames('example.com', new Set(['demo']))
  const some = new Redirector('example.com', 'https://{subdomain}.example.com', nested)
  expect(some.find('App.demo.example.com:80')).toEqual(new Redirect('https://app.demo.example.com'))
  for (const host of ['app.other.example.com', 'b.app.demo.example.com'])
    expect(some.find(host)).toMatchObject({ code: 'nested-name' })
})
