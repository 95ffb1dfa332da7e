import { TunnelFault } from '@postern/protocol/fault'
import { expect, test } from 'vitest'
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
  'a.demo.example.com',
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
