/** Vite's dev server, its pages in a real browser. */
import { test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { commandPath, debianPackages } from './install.ts'
import { suiteOfPrograms } from './programs.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'

const suite = suiteOfPrograms({
  name: 'Vite',
  checks: 7,
  packages: 'vite',
  origin: 'vite/origin.mjs',
  client: 'vite/client.mjs',
  install: () => debianPackages(['chromium'], ['chromium']),
  args: async (folder) => [folder, String(await freePort()), commandPath('chromium')!],
})

test('Vite: a module is updated in the browser without a reload through the tunnel as without it', (context) =>
  sameThroughTunnel(suite, context))
