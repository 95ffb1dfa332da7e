import { TunnelFault } from '@postern/protocol/fault'
import { describe, expect, test } from 'vitest'
import { parseTarget, pinTarget } from './target.ts'

const nowhere = () => Promise.reject(new Error('not asked for'))

describe('a target', () => {
  test('that is a bare port means 127.0.0.1, then ::1', () => {
    expect(parseTarget('3000')).toEqual({ host: ['127.0.0.1', '::1'], port: 3000, label: 'http://localhost:3000' })
    expect(parseTarget('localhost:3000').host).toEqual(['127.0.0.1', '::1'])
  })

  test.each([
    ['127.0.0.1:8080', '127.0.0.1', 8080],
    ['[::1]:5173', '::1', 5173],
    ['web.internal:9000', 'web.internal', 9000],
    ['http://web.internal:9000', 'web.internal', 9000],
    ['http://web.internal/', 'web.internal', 80],
  ])('%s is understood', (text, host, port) => {
    expect(parseTarget(text)).toMatchObject({ host, port })
  })

  test.each([
    '0',
    '65536',
    '99999999999999999999',
    '',
    'web.internal',
    'http://web/path',
    'http://web/?x=1',
    'https://localhost:3000',
    'ftp://localhost:21',
    'http://me:secret@localhost:3000',
    'local host:1',
    'host:port',
    '-1',
  ])('%j is refused as a usage error', (text) => {
    expect(() => parseTarget(text)).toThrow(expect.objectContaining({ code: 'usage-invalid', exit: 2 }))
  })
})

describe('pinning a target', () => {
  test('takes every address of a name once and for all', async () => {
    const lookup = async () => [{ address: '10.0.0.7' }, { address: 'fd00::7' }]
    await expect(pinTarget(parseTarget('web:80'), lookup)).resolves.toEqual(['10.0.0.7', 'fd00::7'])
  })

  test('asks nobody about an address', async () => {
    await expect(pinTarget(parseTarget('[::1]:80'), nowhere)).resolves.toEqual(['::1'])
  })

  test.each([
    '169.254.169.254:80',
    '[fe80::1]:80',
    '[fd00:ec2::254]:80',
    '[::ffff:169.254.169.254]:80',
    '100.100.100.200:80',
  ])('%s is refused: it is link-local or a metadata service', async (text) => {
    await expect(pinTarget(parseTarget(text), nowhere)).rejects.toThrow(/metadata/)
  })

  test('a name that leads to a metadata service is refused, also as one of several addresses', async () => {
    const lookup = async () => [{ address: '10.0.0.7' }, { address: '169.254.169.254' }]
    await expect(pinTarget(parseTarget('web:80'), lookup)).rejects.toThrow(/169\.254\.169\.254/)
  })

  test('a name without an address is a usage error that names it', async () => {
    const lookup = () => Promise.reject(new Error('ENOTFOUND'))
    const failure = await pinTarget(parseTarget('nowhere.invalid:80'), lookup).catch((error) => error)
    expect(failure).toBeInstanceOf(TunnelFault)
    expect(failure).toMatchObject({ code: 'usage-invalid', message: expect.stringContaining('nowhere.invalid') })
  })
})
