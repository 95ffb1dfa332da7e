/**
 * A developer's browser before a Next.js dev server: it reads, clicks, and edits files of `folder`, and looks what becomes of the page at the
 * address it is given. Knows nothing of what lies between. Arguments: address, folder, Chromium, domain.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { check, report } from '../told-checks.mjs'

const [base, folder, executablePath, domain] = process.argv.slice(2)
const edit = async (name, from, to) => {
  const file = join(folder, name)
  const text = await readFile(file, 'utf8')
  assert.ok(text.includes(from), `${name} has no ${from}`)
  await writeFile(file, text.replace(from, to))
}

const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--no-proxy-server', `--host-resolver-rules=MAP *.${domain} 127.0.0.1`],
})
const page = await browser.newPage()
page.setDefaultTimeout(25_000)
const errors = []
const sockets = []
page.on('pageerror', (error) => errors.push(error.message))
page.on('websocket', (socket) => sockets.push(socket))
const shows = (selector, text) =>
  page.waitForFunction(([selector, text]) => document.querySelector(selector)?.textContent === text, [selector, text])
/** Lost when the page is loaded anew. */
const mark = () => page.evaluate(() => Object.assign(window, { mark: true }))
const marked = () => page.evaluate(() => window.mark === true)
/** `work` on a page of its own, whose scripts do not run. */
async function withoutScripts(work) {
  const context = await browser.newContext({ javaScriptEnabled: false })
  try {
    await work(await context.newPage())
  } finally {
    await context.close()
  }
}

/** The status of the answer to a WebSocket's handshake by a page of this origin. Whom Next.js refuses, it tells so in a word that is no HTTP. */
async function handshake(origin) {
  const { host, pathname, port } = new URL(sockets[0].url())
  const asked = request({
    // As a page of its own: two sockets of one page are one too many for Next.js.
    ...{ host: '127.0.0.1', port, path: `${pathname}?id=${randomUUID()}` },
    headers: {
      ...{ host, origin, connection: 'Upgrade', upgrade: 'websocket' },
      ...{ 'sec-websocket-version': '13', 'sec-websocket-key': Buffer.alloc(16).toString('base64') },
    },
  }).end()
  try {
    const [answer] = await Promise.race([once(asked, 'response'), once(asked, 'upgrade')])
    return answer.statusCode
  } catch (error) {
    assert.match(error.code, /^HPE_/)
    return undefined
  } finally {
    asked.on('error', () => {}).destroy()
  }
}

await check('the page is written by the server, for the address that was asked', () =>
  withoutScripts(async (plain) => {
    const response = await plain.goto(base)
    assert.equal(response.status(), 200)
    assert.equal(await plain.textContent('#heading'), 'server one')
    assert.equal(await plain.textContent('#host'), new URL(base).host)
    assert.equal(await plain.textContent('#counter'), 'client one 0')
  }),
)
await check('and taken over by the browser', async () => {
  await page.goto(base)
  await page.waitForFunction(() => {
    document.getElementById('counter').click()
    return document.getElementById('counter').textContent !== 'client one 0'
  })
  assert.deepEqual(errors, [])
})
await check("hot updates come by the page's own address", async () => {
  while (sockets.length === 0) await page.waitForEvent('websocket')
  assert.deepEqual([...new Set(sockets.map((socket) => new URL(socket.url()).host))], [new URL(base).host])
  await page.waitForFunction(() => window.next?.version)
})
await check("a page of an allowed origin is given the dev server's socket, of another one it is not", async () => {
  assert.equal(await handshake(new URL(base).origin), 101)
  assert.equal(await handshake(`http://some-name.${domain}`), 101)
  assert.notEqual(await handshake('http://elsewhere.example'), 101)
})
await check('a link is followed without loading the page anew, and so is the way back', async () => {
  await mark()
  await page.click('#about')
  await page.waitForSelector('#about-heading:has-text("about")')
  assert.equal(page.url(), `${base}/about`)
  await page.goBack()
  await page.waitForSelector('#heading:has-text("server one")')
  assert.ok(await marked())
})
await check('a route answers with status, fields and JSON', async () => {
  const [got, posted] = await page.evaluate(async () => {
    const got = await fetch('/api/echo?a=1&b=c%2Fd')
    const posted = await fetch('/api/echo', { method: 'POST', body: JSON.stringify({ a: ['ä'] }) })
    return [
      [got.status, got.headers.get('x-own'), await got.json()],
      [posted.status, await posted.json()],
    ]
  })
  assert.deepEqual(got, [200, 'yes', { query: '?a=1&b=c%2Fd' }])
  assert.deepEqual(posted, [201, { got: { a: ['ä'] }, method: 'POST' }])
})
await check('a redirection stays at the address', async () => {
  const url = await page.evaluate(async () => (await fetch('/api/moved')).url)
  assert.equal(url, `${base}/about`)
})
await check('each piece of a streamed answer passes at once, not with the next one', async () => {
  const pieces = await page.evaluate(async (id) => {
    const reader = (await fetch(`/api/stream?id=${id}`)).body.pipeThrough(new TextDecoderStream()).getReader()
    const pieces = []
    for (let piece = 0; piece < 5; piece++) {
      pieces.push((await reader.read()).value)
      // Held back until what was sent before has been seen.
      await fetch(`/api/open?id=${id}${piece + 1}`)
    }
    return [...pieces, (await reader.read()).done]
  }, randomUUID())
  assert.deepEqual(pieces, ['piece 0', 'piece 1', 'piece 2', 'piece 3', 'piece 4', true])
})
await check('a page comes before what it waits for', async () => {
  const id = randomUUID()
  await page.goto(`${base}/slow?id=${id}`, { waitUntil: 'commit' })
  await shows('#fallback', 'wait')
  const opener = await browser.newPage()
  await opener.goto(`${base}/api/open?id=${id}`).catch(() => {})
  await opener.close()
  await shows('#late', 'late')
  assert.equal(await page.locator('#fallback').count(), 0)
})
await check('a server action is taken from a form, with scripts and without', async () => {
  await page.goto(`${base}/form`)
  await page.fill('#said', 'by script')
  await page.click('#send')
  await shows('#saved', 'by script')
  await withoutScripts(async (plain) => {
    await plain.goto(`${base}/form`)
    await plain.fill('#said', 'by hand')
    await plain.click('#send')
    await plain.waitForSelector('#saved:has-text("by hand")')
  })
})
await check('an edited client component is taken in without a reload, and keeps its state', async () => {
  await page.goto(base)
  await page.waitForFunction(() => {
    document.getElementById('counter').click()
    return / [3-9]$/.test(document.getElementById('counter').textContent)
  })
  await mark()
  const state = (await page.textContent('#counter')).split(' ').at(-1)
  for (let index = 0; index < 5; index++) {
    await edit('app/counter.jsx', index === 0 ? 'client one' : `client time ${index - 1}`, `client time ${index}`)
    await shows('#counter', `client time ${index} ${state}`)
  }
  assert.ok(await marked())
})
await check("an edited server component is, too, and the client's state stays", async () => {
  const counter = await page.textContent('#counter')
  await edit('app/page.jsx', 'server one', 'server two')
  await shows('#heading', 'server two')
  assert.equal(await page.textContent('#counter'), counter)
  assert.ok(await marked())
})
await check('an edited stylesheet is, too', async () => {
  await edit('app/style.css', 'rgb(1, 2, 3)', 'rgb(4, 5, 6)')
  await page.waitForFunction(() => getComputedStyle(document.getElementById('heading')).color === 'rgb(4, 5, 6)')
  assert.ok(await marked())
})
await check("a module's error is shown over the page, and goes when it is mended", async () => {
  const overlay = () => page.locator('nextjs-portal [data-nextjs-dialog]')
  await edit('app/counter.jsx', 'return <button', 'return <<button')
  await overlay().waitFor()
  await edit('app/counter.jsx', 'return <<button', 'return <button')
  await overlay().waitFor({ state: 'detached' })
  await page.waitForSelector('#counter')
})
await browser.close()
report()
