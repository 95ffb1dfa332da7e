/** Server-sent events, listened to by `eventsource`. */
import { test } from 'vitest'
import { suiteOfPrograms } from './programs.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'

const suite = suiteOfPrograms({
  name: 'server-sent events',
  checks: 6,
  packages: 'sockets',
  origin: 'sockets/events-origin.mjs',
  client: 'sockets/events-client.mjs',
})

test('server-sent events: streams pass at once and are resumed through the tunnel as without it', (context) =>
  sameThroughTunnel(suite, context))
