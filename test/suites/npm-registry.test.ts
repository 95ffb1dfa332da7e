/** npm's own client before a registry by verdaccio: publishes, installs, and finds the same bytes. */
import { test } from 'vitest'
import { suiteOfPrograms } from './programs.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'

const suite = suiteOfPrograms({
  name: 'npm',
  checks: 6,
  packages: 'npm-registry',
  origin: 'npm-registry/origin.mjs',
  client: 'npm-registry/client.mjs',
  args: async (folder) => [folder],
})

test('npm: publishes to a registry and installs from it through the tunnel as without it', (context) => {
  if (process.env.POSTERN_FULL !== '1') context.skip('some 280 packages to install first: only with POSTERN_FULL=1')
  return sameThroughTunnel(suite, context)
})
