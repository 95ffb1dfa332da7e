/** Notifications whose signature covers `X-Request-Id` and the body, checked by Mercado Pago's SDK and by an HMAC of both. */
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'vitest'
import { Checks } from './checks.ts'
import { pythonPackages, suitePython } from './install.ts'
import { PYTHON_FILES, pythonEnv } from './python-suite.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'
import { startServer } from './server-process.ts'
import type { Suite } from './suite.ts'
import { type Answer, visit } from './visit.ts'

/** As in webhook_receiver.py. */
const SECRET = 'the secret of both'

const hmac = (...parts: (string | Buffer)[]): string => {
  const sum = createHmac('sha256', SECRET)
  for (const part of parts) sum.update(part)
  return sum.digest('hex')
}

const suite: Suite = {
  name: 'signed webhooks',
  checks: 10,
  install: pythonPackages,
  async run(way) {
    const checks = new Checks()
    const server = await startServer(await suitePython(), [join(PYTHON_FILES, 'webhook_receiver.py')], {
      env: pythonEnv(),
    })
    try {
      const url = await way.reach(server.port)
      /** As Mercado Pago's pages describe it: the payment's id, the request's id and the time. */
      const notify = (signedId: string, sentId = signedId): Promise<Answer> => {
        const [payment, seconds] = ['123456789', String(Math.floor(Date.now() / 1000))]
        const signature = hmac(`id:${payment};request-id:${signedId};ts:${seconds};`)
        return visit(`${url}/mercado-pago?data.id=${payment}&type=payment`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'x-request-id': sentId,
            'x-signature': `ts=${seconds},v1=${signature}`,
          },
          body: JSON.stringify({ action: 'payment.updated', data: { id: payment } }),
        })
      }
      const send = (id: string, body: Buffer, sent = body): Promise<Answer> =>
        visit(`${url}/signed`, {
          method: 'POST',
          headers: { 'X-Request-Id': id, 'X-Signature-256': hmac(id, '.', body) },
          body: sent,
        })

      await checks.that("Mercado Pago's validator accepts a notification", async () =>
        accepted(await notify(randomUUID())),
      )
      await checks.that("Mercado Pago's validator refuses one with another request id", async () => {
        return (await notify(randomUUID(), randomUUID())).status === 401
      })
      for (const id of ['1', 'Root=1-67891233-abcdef012345678912345678', 'a b/c+d=="e"', 'x'.repeat(1000)]) {
        await checks.that(`a body is accepted with the id ${id.slice(0, 50)}`, async () =>
          accepted(await send(id, Buffer.from('{"amount": 1.0}'))),
        )
      }
      await checks.that('a body of 1 MiB is accepted, byte for byte', async () =>
        accepted(await send(randomUUID(), randomBytes(1024 * 1024))),
      )
      await checks.that('a body that was changed is refused', async () => {
        return (await send('1', Buffer.from('{"amount": 1}'), Buffer.from('{"amount": 9}'))).status === 401
      })
      await checks.that('a request with an id has that id alone', async () => {
        const { body } = await visit(`${url}/`, { headers: { 'x-request-id': 'of the visitor' } })
        return JSON.stringify(JSON.parse(String(body))) === '["of the visitor"]'
      })
      await checks.that("the visitor gets the application's own id", async () => {
        return (await visit(`${url}/`)).headers['x-request-id'] === 'of the application'
      })
      return checks.outcomes
    } finally {
      await server.stop()
    }
  },
}

/** @throws Error that says why not */
function accepted({ status, body }: Answer): boolean {
  if (status !== 200) throw new Error(`${status}: ${body}`)
  return true
}

test('webhooks: signatures that cover X-Request-Id and the body hold through the tunnel', (context) =>
  sameThroughTunnel(suite, context))
