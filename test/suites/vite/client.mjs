/**
 * A developer's browser before a Vite dev server: it edits files of `folder` and looks what becomes of the page at the address it is given.
 * Knows nothing of what lies between. Arguments: address, folder, port (not used), Chromium.
 */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { chromium } from 'playwright-core'
import { check, report } from '../told-checks.mjs'

const [base, folder, , executablePath] = process.argv.slice(2)
/** Vite's watcher drops a change that follows another one of the same file within 50 ms. */
const WATCHER_MS = 100
const edit = async (name, from, to) => {
  await delay(WATCHER_MS)
  const file = join(folder, name)
  const text = await readFile(file, 'utf8')
  assert.ok(text.includes(from), `${name} has no ${from}`)
  await writeFile(file, text.replace(from, to))
}

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--no-proxy-server'] })
const page = await browser.newPage()
page.setDefaultTimeout(15_000)
const errors = []
const sockets = []
const requests = []
page.on('pageerror', (error) => errors.push(error.message))
page.on('websocket', (socket) => sockets.push(new URL(socket.url()).host))
page.on('requestfinished', (request) => requests.push(request.url()))
page.on('requestfailed', (request) => errors.push(`${request.url()}: ${request.failure()?.errorText}`))
const shows = (id, text) =>
  page.waitForFunction(([id, text]) => document.getElementById(id).textContent === text, [id, text])
/** Lost when the page is loaded anew. */
const mark = () => page.evaluate(() => Object.assign(window, { mark: true }))
const marked = () => page.evaluate(() => window.mark === true)

await check('the page and its 300 modules are loaded', async () => {
  await page.goto(base)
  await shows('heading', 'first')
  await shows('count', '300 modules')
  assert.ok(requests.filter((url) => /\/modules\/\d+\.js/.test(url)).length >= 300)
  assert.deepEqual(errors, [])
})
await check("hot updates come by the page's own address", async () => {
  while (sockets.length === 0) await page.waitForEvent('websocket')
  await page.waitForFunction(() => window.connected)
  assert.deepEqual(sockets, [new URL(base).host])
})
await check('an edited module is taken in without a reload', async () => {
  await mark()
  await edit('heading.js', 'first', 'second')
  await shows('heading', 'second')
  assert.ok(await marked())
})
await check('and again, ten times', async () => {
  for (let index = 0; index < 10; index++) {
    await edit('heading.js', index === 0 ? 'second' : `time ${index - 1}`, `time ${index}`)
    await shows('heading', `time ${index}`)
  }
  assert.ok(await marked())
})
await check('an edited stylesheet is taken in without a reload', async () => {
  await edit('style.css', 'rgb(1, 2, 3)', 'rgb(4, 5, 6)')
  await page.waitForFunction(() => getComputedStyle(document.getElementById('heading')).color === 'rgb(4, 5, 6)')
  assert.ok(await marked())
})
await check('an edited module that cannot be taken in reloads the page', async () => {
  await edit('leaf.js', 'green', 'yellow')
  await shows('leaf', 'yellow')
  assert.ok(!(await marked()))
})
await check("a module's error is shown over the page, and goes when it is mended", async () => {
  await page.waitForFunction(() => window.connected)
  await edit('heading.js', 'export', "import './missing.js'\nexport")
  await page.waitForSelector('vite-error-overlay', { state: 'attached' })
  await edit('heading.js', "import './missing.js'\n", '')
  await page.waitForSelector('vite-error-overlay', { state: 'detached' })
})
await browser.close()
report()
