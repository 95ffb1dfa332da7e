import { KNOWN_HOSTS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { HostNames } from './host-names.ts'
import { NestedNames } from './nested-names.ts'

test('a Host leads to the same name each time, and each spelling of it to the same one', () => {
  const names = new HostNames('example.com')
  for (const host of ['demo.example.com', 'demo.example.com', 'demo.example.com.', 'demo.example.com:8080'])
    expect(names.subdomainOf(host)).toBe('demo')
  expect(names.subdomainOf('other.example.com')).toBe('other')
  for (const host of ['example.com', 'a.demo.example.com', 'demo.example.org', '', 'example.com'])
    expect(names.subdomainOf(host)).toBeUndefined()
})

test('more names than are kept are found all the same', () => {
  const names = new HostNames('example.com')
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < KNOWN_HOSTS + 10; i++) expect(names.subdomainOf(`name-${i}.example.com`)).toBe(`name-${i}`)
})

test('a host below a name leads to it where there is a certificate, and says what is missing where there is none', () => {
  const names = new HostNames('example.com', new NestedNames('example.com', new Set(['demo'])))
  for (const host of ['app.demo.example.com', 'app.demo.example.com', 'App.demo.example.com:8443'])
    expect(names.subdomainOf(host)).toBe('demo')
  expect(names.subdomainOf('app.other.example.com')).toBeUndefined()
  expect(names.missing('app.other.example.com')).toMatchObject({ code: 'nested-name' })
  expect(names.missing('other.example.org')).toMatchObject({ code: 'host-unknown' })
})
