/** gRPC by `@grpc/grpc-js`, at both ends: all four kinds of calls, to a local server of HTTP/2 in clear. */
import { test } from 'vitest'
import { suiteOfPrograms } from './programs.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'

const suite = suiteOfPrograms({
  name: 'gRPC',
  checks: 40,
  packages: 'grpc',
  origin: 'grpc/echo-origin.mjs',
  client: 'grpc/echo-client.mjs',
  agentArgs: ['--upstream-protocol', 'h2c'],
})

test('gRPC: the same answers, trailers, statuses and ends through the tunnel as without it', (context) =>
  sameThroughTunnel(suite, context))
