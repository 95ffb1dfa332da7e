/** PHP's built-in server, which closes each connection and gives most answers no length. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { test } from 'vitest'
import { Checks } from './checks.ts'
import { commandPath, debianPackages } from './install.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'
import { startServer } from './server-process.ts'
import type { Suite } from './suite.ts'
import { type Visit, visit } from './visit.ts'

const MIB = 1024 * 1024
const ROUTER = fileURLToPath(new URL('php/router.php', import.meta.url))
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

const suite: Suite = {
  name: 'PHP',
  checks: 26,
  install: () => debianPackages(['php'], ['php-cli']),
  async run(way, folder) {
    const checks = new Checks()
    const file = randomBytes(3 * MIB)
    await mkdir(join(folder, 'sessions'))
    await writeFile(join(folder, 'file.bin'), file)
    await writeFile(join(folder, 'style.css'), 'h1 { color: red }')
    const settings = ['post_max_size=64M', 'upload_max_filesize=64M', 'display_errors=1', 'html_errors=0']
    const server = await startServer(
      commandPath('php')!,
      [...settings.flatMap((setting) => ['-d', setting]), '-S', '127.0.0.1:0', '-t', folder, ROUTER],
      { cwd: folder },
    )
    try {
      const url = await way.reach(server.port)
      const get = (path: string, options?: Visit) => visit(url + path, options)
      const text = async (path: string, options?: Visit) => String((await get(path, options)).body)
      const echo = async (path: string, options?: Visit) => JSON.parse(await text(path, options))

      await checks.that('a page', async () => (await text('/hello')) === 'hello')
      await checks.that('the head alone of a page', async () => {
        const { status, body } = await get('/hello', { method: 'HEAD' })
        return status === 200 && body.length === 0
      })
      await checks.that(
        'a script finds the Host that the visitor asked',
        async () => (await echo('/echo')).host === new URL(url).host,
      )
      await checks.that('a script finds the query', async () =>
        same((await echo('/echo?a=1&b[]=2&b[]=%C3%BC')).get, { a: '1', b: ['2', 'ü'] }),
      )
      await checks.that('a script finds cookies', async () =>
        same((await echo('/echo', { headers: { cookie: 'a=1; b=2' } })).cookies, { a: '1', b: '2' }),
      )
      await checks.that('a form', async () =>
        same((await echo('/echo', { method: 'POST', body: 'a=1&b=%20', headers: FORM })).post, { a: '1', b: ' ' }),
      )
      await checks.that('an upload of 5 MiB by a form', async () => {
        const bytes = randomBytes(5 * MIB)
        const body = new FormData()
        body.append('file', new Blob([bytes]), 'a name.bin')
        const form = new Response(body)
        const headers = { 'content-type': form.headers.get('content-type')! }
        const answer = await text('/upload', { method: 'POST', body: Buffer.from(await form.arrayBuffer()), headers })
        return answer === `${hash(bytes)} a name.bin ${bytes.length}`
      })
      for (const method of ['PUT', 'PATCH', 'DELETE']) {
        await checks.that(`a ${method} of 2 MiB`, async () => {
          const body = randomBytes(2 * MIB)
          return (await text('/sum', { method, body })) === hash(body)
        })
      }
      await checks.that('a session lives in its cookie', async () => {
        const first = await get('/session')
        const cookie = first.headers['set-cookie']!.map((line) => line.split(';')[0]).join('; ')
        const counts = [String(first.body), await text('/session', { headers: { cookie } }), await text('/session')]
        return counts.join() === '1,2,1'
      })
      await checks.that('a redirection', async () => {
        const { status, headers } = await get('/redirect')
        return status === 303 && headers.location === '/hello'
      })
      await checks.that('cookies with their attributes', async () =>
        same((await get('/cookies')).headers['set-cookie'], [
          'plain=a%20b',
          'strict=1; secure; HttpOnly; SameSite=Strict',
        ]),
      )
      await checks.that('an answer of 1 MiB in parts, that ends with the connection', async () => {
        const { status, body } = await get('/parts')
        const parts = Array.from({ length: 64 }, (_, part) => String.fromCharCode(97 + (part % 26)).repeat(16384))
        return status === 200 && String(body) === parts.join('')
      })
      await checks.that('an answer with a length', async () => {
        const { headers, body } = await get('/length')
        return headers['content-length'] === '5' && String(body) === 'exact'
      })
      await checks.that('a compressed answer is not touched', async () => {
        const { headers, body } = await get('/gzip')
        return headers['content-encoding'] === 'gzip' && String(gunzipSync(body)) === 'compressed '.repeat(1000)
      })
      await checks.that('an answer without a body', async () => {
        const { status, body } = await get('/no-content')
        return status === 204 && body.length === 0
      })
      await checks.that('an exception is shown', async () => {
        const { status, body } = await get('/error')
        return status === 500 || String(body).includes('on purpose')
      })
      await checks.that('basic authentication', async () => {
        const authorization = `Basic ${Buffer.from('me:secret: ü').toString('base64')}`
        const refused = await get('/401')
        const answers = [
          refused.status,
          refused.headers['www-authenticate'],
          await text('/401', { headers: { authorization } }),
        ]
        return answers.join() === '401,Basic realm="php",signed in'
      })
      for (const [bytes, fields] of [
        [4 * 1024, 50],
        [12 * 1024, 90],
        [200 * 1024, 900],
      ]) {
        await checks.that(`a head with a field of ${bytes} bytes and ${fields} more`, async () => {
          const { status, headers } = await get(`/debug?bytes=${bytes}&fields=${fields}`)
          return (
            status === 200 &&
            headers['x-chromelogger-data']?.length === bytes &&
            headers[`x-debug-${fields! - 1}`] !== undefined
          )
        })
      }
      await checks.that('a file of 3 MiB', async () => hash((await get('/file.bin')).body) === hash(file))
      await checks.that('a stylesheet with its type', async () => {
        const { headers, body } = await get('/style.css')
        return headers['content-type']?.startsWith('text/css') === true && String(body) === 'h1 { color: red }'
      })
      await checks.that('a file that is not there', async () => (await get('/none.png')).status === 404)
      await checks.that('60 requests at once, each with its own answer', async () => {
        const sent = Array.from({ length: 60 }, () => randomBytes(10_000))
        const sums = await Promise.all(sent.map((body) => text('/sum', { method: 'POST', body })))
        return sums.every((sum, index) => sum === hash(sent[index]!))
      })
      return checks.outcomes
    } finally {
      await server.stop()
    }
  },
}

const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const same = (found: unknown, expected: unknown): boolean => {
  if (JSON.stringify(found) === JSON.stringify(expected)) return true
  throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(expected)}`)
}

test('PHP: its built-in server answers through the tunnel as without it', (context) =>
  sameThroughTunnel(suite, context))
