import { CONTROL_ENV } from '@postern/protocol/api'
import { expect, test } from 'vitest'
import { parseConfig } from './config.ts'

const good = {
  [CONTROL_ENV.table]: 'postern',
  [CONTROL_ENV.base]: 'example.com',
  [CONTROL_ENV.publicUrl]: 'https://{subdomain}.example.com',
  [CONTROL_ENV.channelHost]: 'channel.example.com',
  [CONTROL_ENV.channelPort]: '7000',
  [CONTROL_ENV.channelKeysArn]: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:channel',
}

test('a complete environment is read, and what else stands in it does not matter', () => {
  expect(parseConfig({ ...good, PATH: '/bin' })).toEqual({
    tableName: 'postern',
    settings: {
      base: 'example.com',
      publicUrl: 'https://{subdomain}.example.com',
      channelHost: 'channel.example.com',
      channelPort: 7000,
      ipPolicy: 'observed',
    },
    channelKeys: { arn: good[CONTROL_ENV.channelKeysArn] },
  })
})

test.each([
  [CONTROL_ENV.table, undefined],
  [CONTROL_ENV.base, 'Example.com'],
  [CONTROL_ENV.base, 'example.com:443'],
  [CONTROL_ENV.publicUrl, 'https://example.com'],
  [CONTROL_ENV.publicUrl, 'https://{subdomain}.example.com/path'],
  [CONTROL_ENV.channelHost, ''],
  [CONTROL_ENV.channelPort, '0'],
  [CONTROL_ENV.channelPort, '65536'],
  [CONTROL_ENV.channelPort, '7e3'],
  [CONTROL_ENV.ipPolicy, 'none'],
  [CONTROL_ENV.channelKeysArn, undefined],
  [CONTROL_ENV.channelKeys, 'both'],
])('%s = %j is refused by name', (name, value) => {
  expect(() => parseConfig({ ...good, [name]: value })).toThrowError(
    expect.objectContaining({ code: 'config-invalid', detail: expect.stringContaining(name) }),
  )
})

test('every setting that is wrong is named at once, and no value is repeated', () => {
  const environment = { ...good, [CONTROL_ENV.table]: undefined, [CONTROL_ENV.channelPort]: 'canary' }
  expect(() => parseConfig(environment)).toThrowError(
    expect.objectContaining({ detail: expect.stringMatching(/POSTERN_TABLE.*POSTERN_CHANNEL_PORT/) }),
  )
  expect(() => parseConfig(environment)).not.toThrowError(/canary/)
})
