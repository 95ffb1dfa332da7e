/** Next.js's dev server, its pages in a real browser. */
import { test } from 'vitest'
import { commandPath, debianPackages } from './install.ts'
import { suiteOfPrograms } from './programs.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'

/** Next.js lets every name below localhost in by itself; this one it must be told of. */
const DOMAIN = 'tunnel.test'

const suite = suiteOfPrograms({
  name: 'Next.js',
  checks: 14,
  base: DOMAIN,
  packages: 'next',
  origin: 'next/origin.mjs',
  client: 'next/client.mjs',
  install: () => debianPackages(['chromium'], ['chromium']),
  args: async (folder) => [folder, commandPath('chromium')!, DOMAIN],
})

test('Next.js: pages are written, streamed and updated in the browser without a reload through the tunnel as without it', (context) => {
  if (process.env.POSTERN_FULL !== '1') context.skip('350 MB of packages to install first: only with POSTERN_FULL=1')
  return sameThroughTunnel(suite, context)
})
