import { ENV } from '@postern/protocol/environment'
import { expect, test } from 'vitest'
import { parseConfig } from './config.ts'

const good = {
  [ENV.table]: 'postern',
  [ENV.base]: 'example.com',
  [ENV.publicUrl]: 'https://{subdomain}.example.com',
  [ENV.channelHost]: 'channel.example.com',
  [ENV.channelPort]: '7000',
  [ENV.channelSecretArn]: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:channel',
  [ENV.grantSecretArn]: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:grant',
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
    channelKeys: { arn: good[ENV.channelSecretArn] },
    grantKeys: { arn: good[ENV.grantSecretArn] },
  })
})

test.each([
  [ENV.table, undefined],
  [ENV.base, 'Example.com'],
  [ENV.base, 'example.com:443'],
  [ENV.publicUrl, 'https://example.com'],
  [ENV.publicUrl, 'https://{subdomain}.example.com/path'],
  [ENV.channelHost, ''],
  [ENV.channelPort, '0'],
  [ENV.channelPort, '65536'],
  [ENV.channelPort, '7e3'],
  [ENV.ipPolicy, 'none'],
  [ENV.channelSecretArn, undefined],
  [ENV.channelSecret, 'both'],
  [ENV.grantSecretArn, undefined],
  [ENV.grantSecret, 'both'],
])('%s = %j is refused by name', (name, value) => {
  expect(() => parseConfig({ ...good, [name]: value })).toThrowError(
    expect.objectContaining({ code: 'config-invalid', detail: expect.stringContaining(name) }),
  )
})

test('every setting that is wrong is named at once, and no value is repeated', () => {
  const environment = { ...good, [ENV.table]: undefined, [ENV.channelPort]: 'canary' }
  expect(() => parseConfig(environment)).toThrowError(
    expect.objectContaining({ detail: expect.stringMatching(/POSTERN_TABLE.*POSTERN_CHANNEL_PORT/) }),
  )
  expect(() => parseConfig(environment)).not.toThrowError(/canary/)
})
