import { describe, expect, test } from 'vitest'
import { parseServer } from './server-origin.ts'

describe('a server', () => {
  test.each([
    ['example.com', 'https://example.com'],
    ['https://Example.com/', 'https://example.com'],
    ['https://example.com:8443', 'https://example.com:8443'],
    ['http://localhost:8080', 'http://localhost:8080'],
    ['http://base.localhost:8080', 'http://base.localhost:8080'],
    ['http://127.0.0.2:1', 'http://127.0.0.2:1'],
    ['http://[::1]:1', 'http://[::1]:1'],
  ])('%s is %s', (text, origin) => {
    expect(parseServer(text)).toBe(origin)
  })

  test.each([
    'http://example.com',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'http://notlocalhost',
    'http://10.0.0.1',
    'http://[::2]',
    'http://[::ffff:8.8.8.8]',
  ])('%s is refused: the token would travel in clear', (text) => {
    expect(() => parseServer(text)).toThrow(expect.objectContaining({ code: 'config-invalid', exit: 2 }))
    expect(() => parseServer(text)).toThrow(/in clear/)
  })

  test.each(['', 'ftp://example.com', 'https://example.com/path', 'https://example.com/?a', 'https://u:p@example.com'])(
    '%j is refused',
    (text) => {
      expect(() => parseServer(text)).toThrow(expect.objectContaining({ code: 'config-invalid' }))
    },
  )
})
