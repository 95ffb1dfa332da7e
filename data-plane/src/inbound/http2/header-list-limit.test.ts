/** Visitors that announce SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113 §6.5.2). */
import http2 from 'node:http2'
import { describe, expect, test } from 'vitest'
import { SeenRequest, visit } from '../../testing/h2-visitor.ts'
import { startPublicStand, toDemo } from '../../testing/public-stand.ts'
import { ScriptedRoute } from '../../testing/scripted-route.ts'

const serve = (route: ScriptedRoute) => startPublicStand(toDemo(route))

describe('a visitor that announces how large a header list it takes', () => {
  const LIMIT = 4096
  async function asking() {
    const route = new ScriptedRoute()
    const { port } = await serve(route)
    const session = visit(port, { settings: { maxHeaderListSize: LIMIT } })
    const beside = new SeenRequest(session, {})
    await route.leased(0)
    const request = new SeenRequest(session, {})
    const { stream } = await route.leased(1)
    /** The session goes on. */
    const goesOn = async (): Promise<void> => {
      route.leases[0]!.stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      await beside.closed
      expect([beside.text, session.destroyed]).toEqual(['ok', false])
    }
    return { request, stream, goesOn }
  }

  test('gets 502 for a larger head', async () => {
    const { request, stream, goesOn } = await asking()
    stream.answer(`HTTP/1.1 200 OK\r\nX-Large: ${'g'.repeat(LIMIT)}\r\nContent-Length: 0\r\n\r\n`)
    await request.closed
    expect([request.status, request.headers['tunnel-error']]).toEqual([502, 'origin-invalid'])
    await goesOn()
  })

  test('gets a head of many fields, each of which counts 32 bytes more, as far as it takes them', async () => {
    const { request, stream, goesOn } = await asking()
    const fields = (count: number) => 'a: b\r\n'.repeat(count)
    stream.answer(`HTTP/1.1 200 OK\r\n${fields(90)}Content-Length: 0\r\n\r\n`)
    await request.closed
    expect(request.status).toBe(200)
    await goesOn()
  })

  test('is reset where not even an answer of ours fits, and its other requests go on', async () => {
    const route = new ScriptedRoute()
    const { port } = await serve(route)
    const session = visit(port, { settings: { maxHeaderListSize: 100 } })
    for (const index of [0, 1]) {
      const request = new SeenRequest(session, {})
      const { stream } = await route.leased(index)
      stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      await request.closed
      expect([request.status, request.stream.rstCode]).toEqual([undefined, http2.constants.NGHTTP2_INTERNAL_ERROR])
    }
    expect(session.destroyed).toBe(false)
  })

  test('gets no larger interim head and no larger trailers, and the response without them', async () => {
    const { request, stream, goesOn } = await asking()
    const large = `X-Large: ${'g'.repeat(LIMIT)}\r\n`
    stream.answer(`HTTP/1.1 103 Early Hints\r\n${large}\r\n`)
    stream.answer(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n${large}\r\n`)
    await request.closed
    expect(request).toMatchObject({ status: 200, text: 'x', ended: true, interim: [] })
    await goesOn()
  })
})
