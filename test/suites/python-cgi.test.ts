/** `python3 -m http.server --cgi`: HTTP/1.0, answers that end with the connection, heads whose lines a script ends. */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'vitest'
import { tryCommand } from '../support/run-command.ts'
import { Checks } from './checks.ts'
import { commandPath, debianPackages } from './install.ts'
import { pythonEnv } from './python-suite.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'
import { startServer } from './server-process.ts'
import type { Suite } from './suite.ts'
import { type Visit, visit } from './visit.ts'

const MIB = 1024 * 1024
/** As root the server runs scripts as nobody, who cannot read a Python below root's home. */
const python = (): string => (existsSync('/usr/bin/python3') ? '/usr/bin/python3' : commandPath('python3')!)
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

/** http.server passes a script's output on as written: most scripts end the lines of their head by LF alone. */
const SCRIPTS = {
  'lf.py': `print("Content-Type: text/plain")
print("X-Line-End: LF")
print()
print("from a script")
`,
  'crlf.py': `import sys
sys.stdout.buffer.write(b"Content-Type: text/plain\\r\\nX-Line-End: CRLF\\r\\n\\r\\nfrom a script\\n")
`,
  'spaced.py': `print("Content-Type:text/plain")
print("X-No-Space:none")
print("X-Much-Space:     much     ")
print()
print("spaced")
`,
  'length.py': `print("Content-Type: text/plain")
print("Content-Length: 5")
print()
print("exact", end="")
`,
  'echo.py': `import os, sys
length = int(os.environ.get("CONTENT_LENGTH") or 0)
body = sys.stdin.buffer.read(length)
print("Content-Type: text/plain")
for name in ("REQUEST_METHOD", "QUERY_STRING", "PATH_INFO", "CONTENT_TYPE", "HTTP_COOKIE", "HTTP_USER_AGENT"):
    print("X-" + name.replace("_", "-") + ": " + os.environ.get(name, ""))
print(flush=True)
sys.stdout.buffer.write(body)
`,
  'cookies.py': `print("Content-Type: text/html; charset=utf-8")
print("Set-Cookie: a=1; Path=/")
print("Set-Cookie: b=2; Path=/; HttpOnly")
print()
print("<p>two</p>")
`,
  'large.py': `import sys
print("Content-Type: application/octet-stream")
print(flush=True)
for index in range(256):
    sys.stdout.buffer.write(bytes([index]) * 65536)
`,
  'fields.py': `print("Content-Type: text/plain")
for index in range(80):
    print("X-Field-%d: %s" % (index, "v" * 100))
print()
print("many fields")
`,
  'empty.py': `print("Content-Type: text/plain")
print()
`,
}

const suite: Suite = {
  name: 'http.server --cgi',
  checks: 23,
  async install() {
    const missing = await debianPackages(['python3'], ['python3'])
    if (missing !== undefined) return missing
    const { output } = await tryCommand(python(), ['-m', 'http.server', '--help'], { deadlineMs: 30_000 })
    // Python 3.15 is without.
    return output.includes('--cgi') ? undefined : `http.server of ${python()} has no --cgi`
  },
  async run(way, folder) {
    const checks = new Checks()
    const page = randomBytes(100_000).toString('hex')
    const file = randomBytes(8 * MIB)
    await mkdir(join(folder, 'cgi-bin'))
    await mkdir(join(folder, 'sub folder'))
    await writeFile(join(folder, 'page.html'), page)
    await writeFile(join(folder, 'file.bin'), file)
    await writeFile(join(folder, 'sub folder', 'index.html'), 'the index')
    for (const [name, text] of Object.entries(SCRIPTS))
      await writeFile(join(folder, 'cgi-bin', name), `#!${python()}\n${text}`, { mode: 0o755 })
    // As root it runs scripts as nobody, who has to find them.
    await chmod(folder, 0o755)
    const server = await startServer(python(), ['-m', 'http.server', '0', '--bind', '127.0.0.1', '--cgi'], {
      cwd: folder,
      env: pythonEnv(),
    })
    try {
      const url = await way.reach(server.port)
      // A tunnel writes heads anew in the grammar of HTTP/1.1, so its visitors need not be lenient.
      const lenient = way.name === 'direct'
      const get = (path: string, options?: Visit) => visit(url + path, { ...options, lenient })
      const text = async (path: string, options?: Visit) => String((await get(path, options)).body)

      await checks.that('a page', async () => (await text('/page.html')) === page)
      await checks.that('a file of 8 MiB', async () => hash((await get('/file.bin')).body) === hash(file))
      await checks.that('the head alone of a file', async () => {
        const { status, headers, body } = await get('/file.bin', { method: 'HEAD' })
        return status === 200 && headers['content-length'] === String(file.length) && body.length === 0
      })
      await checks.that('a file that has not changed since', async () => {
        const modified = (await get('/page.html', { method: 'HEAD' })).headers['last-modified']
        return (await get('/page.html', { headers: { 'if-modified-since': modified } })).status === 304
      })
      await checks.that('a listing of the folder', async () => /page\.html.*sub%20folder/s.test(await text('/')))
      await checks.that('a folder without its slash is redirected', async () => {
        const { status, headers } = await get('/sub%20folder?a=b')
        return status === 301 && headers.location?.endsWith('/sub%20folder/?a=b') === true
      })
      await checks.that('a folder with an index', async () => (await text('/sub%20folder/')) === 'the index')
      await checks.that('a file that is not there', async () => (await get('/none')).status === 404)
      await checks.that(
        'a method that it has not',
        async () => (await get('/page.html', { method: 'DELETE' })).status === 501,
      )
      await checks.that('a POST to what is no script', async () => {
        const { status } = await get('/page.html', { method: 'POST', body: 'x', headers: FORM })
        return status === 501
      })

      for (const [script, line] of [
        ['lf.py', 'LF'],
        ['crlf.py', 'CRLF'],
      ]) {
        await checks.that(`a script that ends the lines of its head by ${line}`, async () => {
          const { status, headers, body } = await get(`/cgi-bin/${script}`)
          return (
            status === 200 &&
            headers['x-line-end'] === line &&
            headers['content-type'] === 'text/plain' &&
            String(body) === 'from a script\n'
          )
        })
      }
      await checks.that('a script with no space and with much space behind the colon', async () => {
        const { headers, body } = await get('/cgi-bin/spaced.py')
        return headers['x-no-space'] === 'none' && headers['x-much-space'] === 'much' && String(body) === 'spaced\n'
      })
      await checks.that('a script that gives a length', async () => {
        const { headers, body } = await get('/cgi-bin/length.py')
        return headers['content-length'] === '5' && String(body) === 'exact'
      })
      await checks.that('a script finds method, query, path and cookie of a GET', async () => {
        const { headers } = await get('/cgi-bin/echo.py/a/path?q=1&r=%C3%BC', { headers: { cookie: 'c=1; d=2' } })
        return (
          [
            headers['x-request-method'],
            headers['x-query-string'],
            headers['x-path-info'],
            headers['x-http-cookie'],
          ].join() === 'GET,q=1&r=%C3%BC,/a/path,c=1; d=2'
        )
      })
      await checks.that('a script finds the body of a POST', async () => {
        const { headers, body } = await get('/cgi-bin/echo.py', { method: 'POST', body: 'a=1&b=2', headers: FORM })
        return headers['x-content-type'] === FORM['content-type'] && String(body) === 'a=1&b=2'
      })
      await checks.that('a script finds a body of 1 MiB', async () => {
        const sent = randomBytes(MIB)
        return (await get('/cgi-bin/echo.py', { method: 'POST', body: sent, headers: FORM })).body.equals(sent)
      })
      await checks.that('a script sets two cookies', async () => {
        const { headers } = await get('/cgi-bin/cookies.py')
        return headers['set-cookie']?.join() === 'a=1; Path=/,b=2; Path=/; HttpOnly'
      })
      await checks.that('a script writes 16 MiB that end with the connection', async () => {
        const { body } = await get('/cgi-bin/large.py')
        const expected = Buffer.concat(Array.from({ length: 256 }, (_, index) => Buffer.alloc(65536, index)))
        return body.equals(expected)
      })
      await checks.that('a script writes 80 fields', async () => {
        const { headers } = await get('/cgi-bin/fields.py')
        return Array.from({ length: 80 }, (_, index) => headers[`x-field-${index}`]).every(
          (value) => value === 'v'.repeat(100),
        )
      })
      await checks.that('a script writes no body', async () => {
        const { status, body } = await get('/cgi-bin/empty.py')
        return status === 200 && body.length === 0
      })
      await checks.that('a script that is not there', async () => (await get('/cgi-bin/none.py')).status === 404)
      await checks.that('40 scripts at once, each with its own answer', async () => {
        const bodies = await Promise.all(
          Array.from({ length: 40 }, (_, index) =>
            text('/cgi-bin/echo.py', { method: 'POST', body: `body ${index}`, headers: FORM }),
          ),
        )
        return bodies.every((body, index) => body === `body ${index}`)
      })
      return checks.outcomes
    } finally {
      await server.stop()
    }
  },
}

const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

test('CGI: http.server answers through the tunnel as without it', (context) => sameThroughTunnel(suite, context))
