import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { ONE_AT_A_TIME_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { writePreamble } from '../route/hop-preamble.ts'
import { LocalRoute } from '../route/local-route.ts'
import { ScriptedStream } from '../testing/scripted-route.ts'
import { receiveHop } from './incoming-hop.ts'

/** A stream of another node has been joined to a fresh one of a tunnel. */
function join() {
  let now = 0
  const opened: ScriptedStream[] = []
  const openStream = () => {
    const stream = new ScriptedStream()
    opened.push(stream)
    return Object.assign(stream, { id: opened.length })
  }
  const route = new LocalRoute({ openStream, takeFailure: () => undefined }, () => now)
  const hop = Object.assign(new ScriptedStream(), { id: 2 })
  receiveHop(
    hop,
    {
      routes: { ofClaim: () => ({ route, tenant: 'ann' }) },
      fence: { closed: () => false, whenLifted: () => () => {} },
      draining: () => false,
      judge: () => expect.unreachable('it has no rules'),
    },
    { admits: () => true, returned: () => {}, withdrawn: () => {}, violated: (fault) => expect.unreachable(fault.message) },
  )
  const asker = { visitorAddress: '192.0.2.1', requestId: 'r' }
  hop.listener?.data(writePreamble({ name: 'demo' as Subdomain, epoch: 1, ...asker }))
  const [local] = opened
  /** Whether a stream is kept for a further request, a while later. */
  const keeps = (): boolean => {
    now += ONE_AT_A_TIME_MS
    const lease = route.lease('idle', asker)
    lease.stream.listen({ data: () => {}, end: () => {}, reset: () => {}, writable: () => {} })
    lease.answered?.()
    lease.keep(4000)
    return route.idleStreams > 0
  }
  return { hop, local: local!, keeps }
}

test('a hop whose local server does not answer may mean that this serves one connection at a time', () => {
  expect(join().keeps()).toBe(false)
})

test.each<[what: string, happens: (streams: { hop: ScriptedStream; local: ScriptedStream }) => void]>([
  ['is answered', ({ local }) => local.answer('HTTP/1.1 200 OK\r\n\r\n')],
  ['is withdrawn', ({ hop }) => hop.listener?.reset(new TunnelFault('stream-reset'))],
  ['is broken off by its local server', ({ local }) => local.listener?.reset(new TunnelFault('stream-reset'))],
  [
    'ends in good order',
    ({ hop, local }) => {
      hop.listener?.end()
      local.listener?.end()
    },
  ],
])('a hop that %s says nothing of the kind', (_what, happens) => {
  const { hop, local, keeps } = join()
  happens({ hop, local })
  expect(keeps()).toBe(true)
})
