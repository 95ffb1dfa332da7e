#!/usr/bin/env node
/** Starts the administration's command: from its sources in a checkout, from dist/ where it is installed. Knows nothing of what it does. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const source = new URL('../src/main.ts', import.meta.url)

if (existsSync(source)) {
  const { register } = await import('tsx/esm/api')
  register()
  // What `npm start` wrote, so that a second terminal needs neither server nor token.
  process.env.TUNNEL_ADMIN_LOCAL_FOLDER ??= fileURLToPath(new URL('../../.postern', import.meta.url))
  await import(source.href)
} else {
  await import('../dist/main.js')
}
