/** socket.io at both ends, by each of its transports. */
import { test } from 'vitest'
import { suiteOfPrograms } from './programs.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'

const suite = suiteOfPrograms({
  name: 'socket.io',
  checks: 23,
  packages: 'sockets',
  origin: 'sockets/socket-io-origin.mjs',
  client: 'sockets/socket-io-client.mjs',
})

test('socket.io: every transport works through the tunnel as it does without it', (context) =>
  sameThroughTunnel(suite, context))
