#!/usr/bin/env node
/** Starts the agent: from its sources in a checkout, from dist/ where it is installed. Knows nothing of what it does. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const source = new URL('../src/main.ts', import.meta.url)

if (existsSync(source)) {
  const { register } = await import('tsx/esm/api')
  register()
  // What `npm start` wrote, so that a second terminal needs neither server nor token.
  process.env.TUNNEL_AGENT_LOCAL_PROFILE ??= fileURLToPath(new URL('../../.postern/profile.json', import.meta.url))
  await import(source.href)
} else {
  await import('../dist/main.js')
}
