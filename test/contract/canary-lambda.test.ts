import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { newToken } from '@postern/protocol/ticket'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'

const LAMBDA_KB = 700
const ARN = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:postern/canary'

let folder: string
let secrets: Server
let asked: unknown[]
const token = newToken('user', randomBytes).reveal()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-canary-'))
  const { LAMBDA_BUNDLE } = await import(new URL('../../control-plane/bundle.mjs', import.meta.url).href)
  const entryPoints = [fileURLToPath(new URL('../../canary/src/lambda.ts', import.meta.url))]
  await build({ ...LAMBDA_BUNDLE, entryPoints, outfile: join(folder, 'index.mjs') })
  asked = []
  secrets = createServer(async (request, response) => {
    asked.push([request.headers['x-amz-target'], JSON.parse(await text(request))])
    response.setHeader('content-type', 'application/x-amz-json-1.1')
    response.end(JSON.stringify({ SecretString: `${token}\n` }))
  })
  secrets.listen(0, '127.0.0.1')
  await once(secrets, 'listening')
})
afterAll(async () => {
  secrets.closeAllConnections()
  secrets.close()
  await once(secrets, 'close')
  await rm(folder, { recursive: true })
})

/** The bundle in a process of its own, twice called, as a warm function is. */
async function invoked(changes: Record<string, string> = {}) {
  const script = `const { handler } = await import(process.argv[1]); await handler(); await handler()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, join(folder, 'index.mjs')], {
    env: {
      POSTERN_CANARY_SERVER: 'http://127.0.0.1:1',
      POSTERN_CANARY_SECRET_ARN: ARN,
      AWS_ENDPOINT_URL: `http://127.0.0.1:${(secrets.address() as AddressInfo).port}`,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
      ...changes,
    },
  })
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return {
    out,
    err,
    code,
    lines: out
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line)),
  }
}

test(`the bundle needs no file beside it, and is at most ${LAMBDA_KB} KB`, async () => {
  expect((await stat(join(folder, 'index.mjs'))).size).toBeLessThanOrEqual(LAMBDA_KB * 1000)
})

test('it reads its token from the secret, again after a failure, and writes a line for each knock', async () => {
  const { lines, out, err, code } = await invoked()
  expect([code, err]).toEqual([0, ''])
  expect(asked).toEqual(Array(2).fill(['secretsmanager.GetSecretValue', { SecretId: ARN }]))
  expect(lines).toHaveLength(2)
  for (const line of lines) {
    expect(line).toMatchObject({ Service: 'canary', CanaryAnswered: 0, step: 'open', code: 'server-unreachable' })
  }
  expect(out).not.toContain(token)
})

test('a secret that cannot be read is a knock that was not answered, and no crash', async () => {
  const { lines, code } = await invoked({ AWS_ENDPOINT_URL: 'http://127.0.0.1:1' })
  expect(code).toBe(0)
  for (const line of lines) expect(line).toMatchObject({ CanaryAnswered: 0, step: 'token', code: 'config-invalid' })
  expect(lines).toHaveLength(2)
})

test('a missing variable ends the start, by name', async () => {
  const { err, code } = await invoked({ POSTERN_CANARY_SERVER: '' })
  expect(code).not.toBe(0)
  expect(err).toContain('POSTERN_CANARY_SERVER')
})
