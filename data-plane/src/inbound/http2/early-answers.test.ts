/** Answers that come before their request has ended: they neither cut the upload nor are cut by its end. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { H2_EARLY_ANSWER_BYTES } from '@postern/protocol/limits'
import { expect, onTestFinished, test } from 'vitest'
import { dataFrame, frame, headersFrame, PREFACE, SETTINGS } from '../../testing/h2-frames.ts'
import { SeenRequest, until, visit } from '../../testing/h2-visitor.ts'
import { startPublicStand, toDemo } from '../../testing/public-stand.ts'
import { ScriptedRoute } from '../../testing/scripted-route.ts'

const serve = (route: ScriptedRoute) => startPublicStand(toDemo(route))
const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** A route whose streams have no room, so that a request behind its first bytes is not read. */
function fullRoute(): ScriptedRoute {
  const route = new ScriptedRoute()
  const lease = route.lease.bind(route)
  route.lease = (freshness) => {
    const leased = lease(freshness)
    const { stream } = leased
    const write = stream.write.bind(stream)
    stream.write = (chunk) => write(chunk) && false
    return leased
  }
  return route
}

const END_STREAM = 1
const DATA = 0

test.each(['204 No Content', '304 Not Modified', '404 Not Found\r\nContent-Length: 0'])(
  'an early %s does not cut the upload, of which nothing was read meanwhile',
  async (status) => {
    const route = fullRoute()
    const { port, recorded } = await serve(route)
    const raw = connect(port, '127.0.0.1').resume()
    onTestFinished(() => void raw.destroy())
    raw.write(Buffer.concat([PREFACE, SETTINGS, headersFrame(1, 'POST'), dataFrame(1, Buffer.from('first'))]))
    const { stream } = await route.leased(0)
    await stream.until(({ received }) => received.includes('first'))
    stream.answer(`HTTP/1.1 ${status}\r\n\r\n`)
    await turns(20)
    expect([stream.received.endsWith('first\r\n'), recorded]).toEqual([true, []])
    stream.listener!.writable()
    raw.write(frame(DATA, END_STREAM, 1, Buffer.from('last')))
    await stream.until(({ received }) => received.endsWith('4\r\nlast\r\n0\r\n\r\n'))
    await until(() => recorded.length > 0)
    expect(recorded).toEqual([`HTTP/2.0 ${status.slice(0, 3)} whole -`])
  },
)

test.each([1, 64 * 1024, H2_EARLY_ANSWER_BYTES])(
  'an early answer of %i bytes is whole for a visitor that stops its upload at the status, as curl does',
  async (length) => {
    const route = new ScriptedRoute()
    const { port, recorded } = await serve(route)
    const session = visit(port, { settings: { initialWindowSize: 1 << 20 } })
    await once(session, 'connect')
    session.setLocalWindowSize(1 << 20)
    const request = new SeenRequest(session, { ':method': 'POST', 'content-length': '100000' }, false)
    request.stream.on('response', () => request.stream.end())
    request.stream.write('x')
    const { stream } = await route.leased(0)
    await stream.until(({ received }) => received.endsWith('x'))
    stream.answer(`HTTP/1.1 413 Content Too Large\r\nContent-Length: ${length}\r\n\r\n`)
    for (const half of [Math.floor(length / 2), Math.ceil(length / 2)]) {
      await turns(20)
      expect(request.status).toBeUndefined()
      stream.answer('y'.repeat(half))
    }
    await request.closed
    expect([request.status, request.text.length, request.ended]).toEqual([413, length, true])
    await until(() => recorded.length > 0)
    expect(recorded).toEqual(['HTTP/2.0 413 whole -'])
  },
)

test('an early answer that goes on, or is long, comes as it is sent', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const session = visit(port)
  for (const [index, head] of [
    '200 OK\r\nContent-Length: 5',
    '404 Not Found\r\nTransfer-Encoding: chunked',
    `413 Content Too Large\r\nContent-Length: ${H2_EARLY_ANSWER_BYTES + 1}`,
  ].entries()) {
    const request = new SeenRequest(session, { ':method': 'POST' }, false)
    const { stream } = await route.leased(index)
    stream.answer(`HTTP/1.1 ${head}\r\n\r\n`)
    await until(() => request.status === Number(head.slice(0, 3)))
  }
})
