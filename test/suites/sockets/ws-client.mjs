/** A visitor by `ws`, of what ws-origin.mjs serves at the address it is given. Knows nothing of what lies between. */
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import WebSocket from 'ws'
import { check, report } from '../told-checks.mjs'

const base = process.argv[2]
const MIB = 1024 * 1024

async function open(path, { protocols, ...options } = {}) {
  const socket = new WebSocket(base.replace('http', 'ws') + path, protocols, {
    perMessageDeflate: false,
    maxPayload: 128 * MIB,
    ...options,
  })
  // What the server says at once can be here before whoever waits for it.
  socket.early = []
  const keep = (data, binary) => socket.early.push([data, binary])
  socket.on('message', keep)
  await once(socket, 'open')
  socket.next = async () => {
    while (socket.early.length === 0) await once(socket, 'message')
    return socket.early.shift()
  }
  return socket
}

async function echoed(path, message, options) {
  const socket = await open(path, options)
  socket.send(message)
  const [data, binary] = await socket.next()
  assert.equal(binary, typeof message !== 'string')
  assert.ok(data.equals(Buffer.from(message)), `${data.length} bytes came back for ${message.length}`)
  socket.close()
  await once(socket, 'close')
}

/** How the server's end of a connection ended; it is told of that later than we are. */
async function ending(id) {
  for (;;) {
    const response = await fetch(`${base}/ending?id=${id}`)
    const body = await response.json()
    if (response.status === 200) return body
    await delay(20)
  }
}

// The lengths around which a frame's head changes (RFC 6455 §5.2).
for (const size of [0, 1, 125, 126, 127, 65_535, 65_536, MIB]) {
  await check(`text of ${size} bytes comes back`, () => echoed('/echo', 'x'.repeat(size)))
  await check(`${size} binary bytes come back`, () => echoed('/echo', randomBytes(size)))
}
await check('16 MiB in one frame come back', () => echoed('/echo', randomBytes(16 * MIB)))
await check('compressed messages come back', async () => {
  const socket = await open('/echo?deflate', { perMessageDeflate: { threshold: 0 } })
  assert.match(socket.extensions, /permessage-deflate/)
  socket.close()
  await echoed('/echo?deflate', 'all work and no play '.repeat(10_000), { perMessageDeflate: { threshold: 0 } })
})
await check('a message in 100 fragments, with a ping between them', async () => {
  const socket = await open('/echo')
  for (let index = 0; index < 100; index++) {
    socket.send(`${index},`, { fin: index === 99 })
    if (index === 50) socket.ping('between')
  }
  const [[pong], [data]] = await Promise.all([once(socket, 'pong'), socket.next()])
  assert.equal(String(pong), 'between')
  assert.equal(String(data), Array.from({ length: 100 }, (_, index) => `${index},`).join(''))
  socket.close()
})
await check("the server's ping is answered", async () => {
  const [data] = await (await open('/ping')).next()
  assert.equal(String(data), 'pong are you there')
})
await check('what the server says with the handshake arrives', async () => {
  const [data] = await (await open('/greet')).next()
  assert.equal(String(data), 'hello at once')
})
await check('10,000 messages come back in order', async () => {
  const socket = await open('/echo')
  for (let index = 0; index < 10_000; index++) socket.send(String(index))
  for (let index = 0; index < 10_000; index++) assert.equal(String((await socket.next())[0]), String(index))
  socket.close()
})
await check('100 connections at once, each with its own answers', async () => {
  await Promise.all(Array.from({ length: 100 }, (_, index) => echoed('/echo', `connection ${index}`)))
})
await check('32 MiB wait for a reader that pauses', async () => {
  const socket = await open('/flood')
  socket.pause()
  await delay(500)
  socket.resume()
  for (let index = 0; index < 512; index++) {
    const [data] = await socket.next()
    assert.ok(data.length === 64 * 1024 && data[0] === index % 256, `message ${index}`)
  }
  socket.close()
})
await check('8 MiB each way at once', async () => {
  const socket = await open('/echo')
  const sent = Array.from({ length: 128 }, () => randomBytes(64 * 1024))
  for (const message of sent) socket.send(message)
  for (const message of sent) assert.ok(message.equals((await socket.next())[0]))
  socket.close()
})
await check('a subprotocol is agreed upon', async () => {
  const socket = await open('/echo', { protocols: ['other', 'chat'] })
  assert.equal(socket.protocol, 'chat')
  socket.close()
})
await check('path, query, cookie and a field of its own arrive', async () => {
  const socket = await open('/head?a=1&b=%20', {
    headers: { Cookie: 'one=1; two=2', 'X-Own': 'yes' },
    origin: 'http://page.example',
  })
  const { url, headers } = JSON.parse((await socket.next())[0])
  assert.deepEqual(
    [url, headers.cookie, headers['x-own'], headers.origin, headers.host],
    ['/head?a=1&b=%20', 'one=1; two=2', 'yes', 'http://page.example', new URL(base).host],
  )
  socket.close()
})
await check("the visitor's close code and reason reach the server", async () => {
  const id = randomUUID()
  const socket = await open(`/echo?id=${id}`)
  socket.close(4321, 'enough')
  const [code] = await once(socket, 'close')
  assert.equal(code, 4321)
  assert.deepEqual(await ending(id), { code: 4321, reason: 'enough' })
})
await check("the server's close code and reason reach the visitor", async () => {
  const socket = await open('/close')
  const [code, reason] = socket.readyState === WebSocket.CLOSED ? [] : await once(socket, 'close')
  assert.deepEqual([code, String(reason)], [4001, 'as you wished'])
})
await check('a visitor that vanishes is gone for the server at once', async () => {
  const id = randomUUID()
  const socket = await open(`/echo?id=${id}`)
  socket.terminate()
  assert.equal((await ending(id)).code, 1006)
})
await check('a server that cuts the connection is gone for the visitor at once', async () => {
  const socket = await open('/terminate')
  const [code] = await once(socket, 'close')
  assert.equal(code, 1006)
})
await check('a refusal arrives as the server wrote it', async () => {
  const socket = new WebSocket(`${base.replace('http', 'ws')}/refuse`)
  socket.on('error', () => undefined)
  const [, response] = await once(socket, 'unexpected-response')
  const body = await response.toArray()
  assert.deepEqual(
    [response.statusCode, response.headers['x-reason'], String(Buffer.concat(body))],
    [401, 'not you', 'not so'],
  )
})
await check('a redirection is followed', () => echoed('/redirect', 'there', { followRedirects: true }))
report()
