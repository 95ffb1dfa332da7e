/** Proves that a system passes requests on, unharmed, before anybody measures how fast. Knows no system. */
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import type { Target } from './contender.ts'

const BYTES = 3_000_001

/** @throws Error that names the system and what it got wrong */
export async function checkSystem(name: string, target: Target): Promise<void> {
  const sent = Buffer.alloc(BYTES, 'postern ')
  const answers = [
    { what: 'a small response', got: await ask(target, 'GET', '/'), expected: Buffer.from('ok\n') },
    { what: 'a download', got: await ask(target, 'GET', `/bytes/${BYTES}`), expected: sent },
    { what: 'an upload', got: await ask(target, 'POST', '/', sent), expected: Buffer.from(`${BYTES}\n`) },
  ]
  for (const { what, got, expected } of answers) {
    if (digest(got) !== digest(expected))
      throw new Error(`${name} changed ${what}: ${got.length} bytes instead of ${expected.length}`)
  }
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

function ask({ port, host }: Target, method: string, path: string, body?: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, method, path, headers: { host } }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('error', reject)
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(pieces))
        else reject(new Error(`${method} ${path} was answered ${response.statusCode}: ${Buffer.concat(pieces)}`))
      })
    })
    asked.on('error', reject)
    asked.end(body)
  })
}
