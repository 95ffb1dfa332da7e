import { describe, expect, test } from 'vitest'
import { parseOptions } from './options.ts'

describe('the command line', () => {
  test('takes a domain or the address of the API', () => {
    expect(parseOptions(['--domain', 'tunnel.example.com'])).toMatchObject({
      server: 'https://tunnel.example.com',
      local: false,
      report: 'acceptance-report.md',
    })
    expect(parseOptions(['--server', 'https://api.example.com']).server).toBe('https://api.example.com')
    expect(parseOptions(['--local'])).toMatchObject({ local: true, server: undefined })
  })

  test.each([[[]], [['--local', '--domain', 'a.example']], [['--token', 'pst_x', '--local']]])('refuses %j', (args) => {
    expect(() => parseOptions(args)).toThrow(expect.objectContaining({ code: 'usage-invalid' }))
  })
})
