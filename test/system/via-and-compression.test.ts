/** nginx as the local server: it compresses nothing for requests with Via (gzip_proxied), so --no-via gives visitors what they get directly. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { askOnce } from '../support/http-client.ts'
import { fieldOf, statusOf } from '../support/http-message.ts'
import { NGINX, type RunningNginx, startNginx } from '../support/nginx.ts'
import { type System, startSystem } from '../support/start-system.ts'

const WHY = NGINX === undefined ? ' (left out: there is no nginx on this machine)' : ''

describe.skipIf(NGINX === undefined)(`nginx with gzip${WHY}`, () => {
  let system: System
  let nginx: RunningNginx

  const encodingOf = async (to: number, host: string): Promise<string | undefined> => {
    const request = `GET / HTTP/1.1\r\nHost: ${host}\r\nAccept-Encoding: gzip\r\n\r\n`
    const answer = await askOnce(to, request)
    expect(statusOf(answer)).toBe(200)
    return fieldOf(answer, 'content-encoding')
  }

  beforeAll(async () => {
    nginx = await startNginx({
      http: 'gzip on; gzip_types text/plain; gzip_min_length 1; default_type text/plain;',
      server: `return 200 '${'page '.repeat(200)}';`,
    })
    system = await startSystem()
    await system.startAgent({ subdomain: 'named', target: nginx.port })
    await system.startAgent({ subdomain: 'unnamed', target: nginx.port, args: ['--no-via'] })
  })

  afterAll(async () => {
    await system?.stop()
    await nginx?.stop()
  })

  test('compresses directly and with --no-via, and not for requests with Via', async () => {
    expect(await encodingOf(nginx.port, 'any')).toBe('gzip')
    expect(await encodingOf(system.publicPort, 'named.localhost')).toBeUndefined()
    expect(await encodingOf(system.publicPort, 'unnamed.localhost')).toBe('gzip')
  })
})
