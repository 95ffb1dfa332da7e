/** The page that visitors see instead of an answer, in a real browser: to be read by everybody, by day and by night, and fetching nothing. */
import { existsSync } from 'node:fs'
import axe from 'axe-core'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type System, startSystem } from '../support/start-system.ts'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const WHY = CHROMIUM === undefined ? ' (left out: there is no Chromium on this machine)' : ''
const HOSTILE = '<script>document.title="hostile"</script>'

let system: System
let browser: Browser

describe.skipIf(CHROMIUM === undefined)(`in a browser${WHY}`, () => {
  beforeAll(async () => {
    system = await startSystem()
    browser = await chromium.launch({
      executablePath: CHROMIUM!,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-proxy-server'],
    })
  })
  afterAll(async () => {
    await browser?.close()
    await system?.stop()
  })

  /** The page of a tunnel that there is not. */
  async function open(colorScheme: 'light' | 'dark', width = 900, path = '/') {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 700 } })
    const page = await context.newPage()
    const asked: string[] = []
    const complaints: string[] = []
    page.on('request', (request) => asked.push(request.url()))
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(String(error)))
    const response = await page.goto(`http://nobody.localhost:${system.publicPort}${path}`)
    return { page, asked, complaints, response: response!, close: () => context.close() }
  }

  test.each(['light', 'dark'] as const)('it is accessible when it is %s', async (scheme) => {
    const { page, close, response } = await open(scheme)
    expect(response.status()).toBe(404)
    await page.evaluate(axe.source)
    const found = await page.evaluate(() =>
      (globalThis as unknown as { axe: typeof axe }).axe.run({ resultTypes: ['violations', 'passes'] }),
    )
    expect(found.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([])
    expect(found.passes.map(({ id }) => id)).toContain('color-contrast')
    const ground = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
    const [red] = /\d+/.exec(ground)!
    expect(Number(red) > 128 ? 'light' : 'dark').toBe(scheme)
    await close()
  })

  test('it says what happened, on whose side, what to do, the code and the request', async () => {
    const { page, close, response } = await open('light')
    const text = await page.innerText('main')
    for (const part of [
      '404',
      'No tunnel has this name.',
      'whoever runs this tunnel',
      'npx tunnel-agent',
      'tunnel-not-found',
    ])
      expect(text).toContain(part)
    expect(text).toContain(response.headers()['postern-request-id'])
    expect(await page.title()).toBe('404 · No tunnel has this name.')
    await close()
  })

  test('it fetches nothing, runs nothing, and nobody complains', async () => {
    const { page, asked, complaints, close } = await open('light')
    await page.waitForLoadState('networkidle')
    expect(asked).toEqual([page.url()])
    // The browser's own word on the status of the page.
    expect(complaints.filter((text) => !text.includes('status of 404'))).toEqual([])
    expect(await page.locator('script').count()).toBe(0)
    await close()
  })

  test('nothing that was asked for comes back', async () => {
    const { page, close } = await open('light', 900, `/${HOSTILE}?${HOSTILE}`)
    expect(await page.title()).toBe('404 · No tunnel has this name.')
    expect(await page.content()).not.toContain('hostile')
    await close()
  })

  test('it fits a telephone', async () => {
    const { page, close } = await open('light', 320)
    const [content, window] = await page.evaluate<number[]>('[document.documentElement.scrollWidth, innerWidth]')
    expect(content).toBeLessThanOrEqual(window!)
    await close()
  })
})
