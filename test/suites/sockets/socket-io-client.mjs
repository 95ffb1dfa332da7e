/** A visitor by socket.io-client, of what socket-io-origin.mjs serves at the address it is given. Knows nothing of what lies between. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { io } from 'socket.io-client'
import { check, report } from '../told-checks.mjs'

const base = process.argv[2]
const MIB = 1024 * 1024

/** An event of socket.io-client, which is no EventEmitter of Node's. */
const heard = (emitter, event) => new Promise((resolve) => emitter.once(event, (...values) => resolve(values)))

async function connect(options) {
  const socket = io(base, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50, ...options })
  await heard(socket, 'connect')
  return socket
}

const WAYS = {
  'long polling alone': { transports: ['polling'] },
  'WebSocket alone': { transports: ['websocket'] },
  'long polling that becomes a WebSocket': {},
}
for (const [name, options] of Object.entries(WAYS)) {
  const on = (title, work) =>
    check(`${name}: ${title}`, async () => {
      const socket = await connect(options)
      try {
        await work(socket)
      } finally {
        socket.disconnect()
      }
    })
  await on('the transport is the one that was asked for', async (socket) => {
    const { engine } = socket.io
    const wanted = options.transports?.[0] ?? 'websocket'
    if (engine.transport.name !== wanted) await heard(engine, 'upgrade')
    assert.equal(engine.transport.name, wanted)
  })
  await on('values and bytes are acknowledged as they were', async (socket) => {
    const bytes = randomBytes(1000)
    const [value, back] = await new Promise((resolve) => {
      socket.emit('echo', { a: [1, null, 'ä', '\u2028'] }, bytes, (...values) => resolve(values))
    })
    assert.deepEqual(value, { a: [1, null, 'ä', '\u2028'] })
    assert.ok(bytes.equals(Buffer.from(back)))
  })
  await on('4 MiB come back', async (socket) => {
    const bytes = randomBytes(4 * MIB)
    assert.ok(bytes.equals(Buffer.from(await socket.emitWithAck('echo', bytes))))
  })
  await on('1,000 events arrive in order', async (socket) => {
    const numbers = []
    const all = new Promise((resolve) => {
      socket.on('number', (number) => numbers.push(number) === 1000 && resolve())
    })
    socket.emit('count', 1000)
    await all
    assert.deepEqual(numbers, [...numbers.keys()])
  })
  await on('a room hears what is said in it, and nobody else does', async (socket) => {
    const [inside, outside] = [await connect(options), await connect(options)]
    await socket.emitWithAck('join', `room of ${name}`)
    await inside.emitWithAck('join', `room of ${name}`)
    outside.on('said', () => assert.fail('heard outside'))
    const both = Promise.all([heard(socket, 'said'), heard(inside, 'said')])
    outside.emit('say', `room of ${name}`, 'hello')
    // Behind the text stands the offset from which a cut connection is recovered.
    assert.deepEqual(
      (await both).map(([text]) => text),
      ['hello', 'hello'],
    )
    // Behind an answer, so that anything wrongly said would have come before it.
    await outside.emitWithAck('echo', 0)
    for (const other of [inside, outside]) other.disconnect()
  })
  await on('the server ends it, and says that it did', async (socket) => {
    const gone = heard(socket, 'disconnect')
    socket.emit('leave me')
    assert.equal((await gone)[0], 'io server disconnect')
  })
  await on('a connection that was cut is recovered, with all that was said meanwhile', async (socket) => {
    await socket.emitWithAck('join', 'anything')
    // The first event gives the client an offset to resume from.
    const first = heard(socket, 'said')
    socket.emit('say', 'anything', 'before')
    await first
    const said = []
    const all = new Promise((resolve) => {
      socket.on('said', (text) => said.push(text) === 3 && resolve())
    })
    const { id } = socket
    socket.emit('cut me, then say', ['one', 'two', 'three'])
    await all
    assert.deepEqual([said, socket.id, socket.recovered], [['one', 'two', 'three'], id, true])
  })
}
await check('a namespace lets in who has the key', async () => {
  const inside = io(`${base}/private`, { forceNew: true, auth: { key: 'right' } })
  await heard(inside, 'connect')
  inside.disconnect()
})
await check('a namespace refuses who has not, with its reason', async () => {
  const outside = io(`${base}/private`, { forceNew: true, auth: { key: 'wrong' } })
  const [error] = await heard(outside, 'connect_error')
  assert.equal(error.message, 'wrong key')
  outside.disconnect()
})
report()
