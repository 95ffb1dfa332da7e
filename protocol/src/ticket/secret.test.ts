import { format, inspect } from 'node:util'
import { expect, test } from 'vitest'
import { Secret } from './secret.ts'

test('a secret shows itself only when it is asked to', () => {
  const secret = new Secret('hunter2')
  const shown = [
    `${secret}`,
    String(secret),
    JSON.stringify({ secret }),
    inspect(secret),
    inspect({ deep: { secret } }, { depth: 9, showHidden: true }),
    format('%s %o %O %j', secret, secret, secret, secret),
    Object.keys(secret).join(),
    JSON.stringify(Object.entries({ ...secret })),
  ]
  for (const text of shown) expect(text).not.toContain('hunter2')
  expect(secret.reveal()).toBe('hunter2')
})
