import { KNOWN_HOSTS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { HostNames } from './host-names.ts'

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
