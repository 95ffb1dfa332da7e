import { describe, expect, test } from 'vitest'
import { Browser } from '../testing/browser.ts'
import { SeenRequest, visit } from '../testing/h2-visitor.ts'
import { startPublicStand, toDemo } from '../testing/public-stand.ts'
import { ScriptedRoute } from '../testing/scripted-route.ts'

const SECRETS = 'Cookie: secret\r\nAuthorization: Basic secret\r\n'
const asking = (method: string, forwards: string) =>
  `${method} /a?b HTTP/1.1\r\nHost: demo.example.com\r\nMax-Forwards: ${forwards}\r\n${SECRETS}\r\n`

async function answerTo(request: string) {
  const route = new ScriptedRoute()
  const { port, recorded } = await startPublicStand(toDemo(route))
  const browser = new Browser(port).send(request)
  await browser.until(({ ended }) => ended)
  const [head = '', body] = browser.text.split(/\r\n\r\n(.*)/s)
  return { route, recorded, head: head.split('\r\n'), body }
}

describe('a request that may be passed on no further is answered here', () => {
  test.each(['0', '000'])('OPTIONS with Max-Forwards: %s, with nothing', async (forwards) => {
    const { route, recorded, head, body } = await answerTo(asking('OPTIONS', forwards))
    expect(head[0]).toBe('HTTP/1.1 200 OK')
    expect(head).toEqual(expect.arrayContaining(['Content-Length: 0', 'Connection: close']))
    expect(body).toBe('')
    expect(recorded).toEqual(['HTTP/1.1 200 whole -'])
    expect(route.leases).toHaveLength(0)
  })

  test('TRACE, with its request line and Host, and no field that may hold a secret', async () => {
    const { route, head, body } = await answerTo(asking('TRACE', '0'))
    expect(head).toEqual(expect.arrayContaining(['Content-Type: message/http', 'X-Content-Type-Options: nosniff']))
    expect(body).toBe('TRACE /a?b HTTP/1.1\r\nHost: demo.example.com\r\n\r\n')
    expect(route.leases).toHaveLength(0)
  })

  test('by HTTP/2 too, and the connection goes on', async () => {
    const route = new ScriptedRoute()
    const { port, recorded } = await startPublicStand(toDemo(route))
    const session = visit(port)
    const request = new SeenRequest(session, { ':method': 'OPTIONS', 'max-forwards': '0' })
    await request.closed
    expect(request).toMatchObject({ status: 200, text: '', ended: true })
    expect(recorded).toEqual(['HTTP/2.0 200 whole -'])
    expect(route.leases).toHaveLength(0)
    expect(session.closed).toBe(false)
  })
})

test.each([
  ['GET', '0'],
  ['OPTIONS', '1'],
  ['OPTIONS', 'none'],
])('%s with Max-Forwards: %s is passed on', async (method, forwards) => {
  const route = new ScriptedRoute()
  const { port } = await startPublicStand(toDemo(route))
  new Browser(port).send(asking(method, forwards))
  expect((await route.leased(0)).stream.received).toMatch(new RegExp(`^${method} /a`))
})
