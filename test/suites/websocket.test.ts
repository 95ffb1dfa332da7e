/** WebSockets by `ws`, at both ends. */
import { test } from 'vitest'
import { suiteOfPrograms } from './programs.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'

const suite = suiteOfPrograms({
  name: 'ws',
  checks: 33,
  packages: 'sockets',
  origin: 'sockets/ws-origin.mjs',
  client: 'sockets/ws-client.mjs',
})

test('WebSocket: ws finds the same connections through the tunnel as without it', (context) =>
  sameThroughTunnel(suite, context))
