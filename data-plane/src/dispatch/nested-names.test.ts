import { TunnelFault } from '@postern/protocol/fault'
import { expect, test } from 'vitest'
import { NestedNames } from './nested-names.ts'

const nested = new NestedNames('example.com', new Set(['demo']))

test.each(['app.demo.example.com', 'APP.Demo.example.com.', 'app.demo.example.com:8443'])('%s is demo’s', (host) => {
  expect(nested.find(host)).toEqual({ subdomain: 'demo', name: 'app.demo' })
})

test.each([
  ['app.other.example.com', 'Missing: a certificate for *.other.example.com.'],
  ['b.app.demo.example.com', 'A host may be one label below the name: *.demo.example.com.'],
  ['c.b.app.other.example.com:80', 'A host may be one label below the name: *.other.example.com.'],
])('%s is answered with what is missing', (host, detail) => {
  const found = nested.find(host)
  expect(found).toBeInstanceOf(TunnelFault)
  expect(found).toMatchObject({ code: 'nested-name', detail })
})

test.each([
  ...['demo.example.com', 'example.com', 'app.demo.example.org', 'app.demo.example.com.evil.org', ''],
  ...['app.www.example.com', 'app.xn--demo.example.com', 'app.ab.example.com', '.demo.example.com'],
  ...['app..demo.example.com', '-app.demo.example.com', 'app-.demo.example.com', 'a_b.demo.example.com'],
  ...['app.demo.example.com..', `${'a'.repeat(64)}.demo.example.com`, 'app.demoexample.com', '*.demo.example.com'],
  ...['a pp.demo.example.com', '\u212a.demo.example.com', '127.0.0.1', '[::1]:80'],
])('%j is below no name', (host) => {
  expect(nested.find(host)).toBeUndefined()
})

test('where no certificate is needed every name has names below it, one label deep', () => {
  const all = new NestedNames('localhost', 'all')
  expect(all.find('app.other.localhost:8080')).toEqual({ subdomain: 'other', name: 'app.other' })
  expect(all.find('b.app.other.localhost:8080')).toMatchObject({ code: 'nested-name' })
})
