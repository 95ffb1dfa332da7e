/** A gRPC client by @grpc/grpc-js of what echo-origin.mjs serves at the address it is given. Knows nothing of what lies between. */
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import grpc from '@grpc/grpc-js'
import { check, report } from '../told-checks.mjs'
import { ECHO } from './echo-service.mjs'

const { host, hostname, port } = new URL(process.argv[2])
const MIB = 1024 * 1024
const { status } = grpc

// The name decides the tunnel, and is not known to every machine.
const address = hostname.endsWith('localhost') ? `127.0.0.1:${port}` : host
const Client = grpc.makeGenericClientConstructor(ECHO, 'Echo')
const client = new Client(address, grpc.credentials.createInsecure(), {
  'grpc.default_authority': host,
  'grpc.max_receive_message_length': 8 * MIB,
})

function metadata(fields = {}) {
  const made = new grpc.Metadata()
  for (const [name, values] of Object.entries(fields)) for (const value of [values].flat()) made.add(name, value)
  return made
}

/** What becomes of a call without a stream of answers: its message or error, with all that was told beside it. */
function called(make) {
  return new Promise((resolve) => {
    const told = {}
    const call = make((error, message) => {
      told.error = error
      told.message = message
      if (told.status) resolve(told)
    })
    told.call = call
    call.on('metadata', (initial) => {
      told.initial = initial
    })
    call.on('status', (ending) => {
      told.status = ending
      if ('error' in told) resolve(told)
    })
  })
}

const unary = (message, fields, options = {}) =>
  called((done) => client.unary(Buffer.from(message), metadata(fields), options, done))

/** The end of a stream of answers, however it comes. */
function ending(call) {
  call.on('error', () => undefined)
  return new Promise((resolve) => call.once('status', resolve))
}

async function endingOf(id) {
  for (;;) {
    const told = await called((done) => client.endings(Buffer.from(id), metadata(), done))
    if (told.message?.length > 0) return String(told.message)
    await delay(20)
  }
}

for (const size of [0, 1, 16_383, 16_384, 65_535, 65_536, MIB, 4 * MIB - 64]) {
  await check(`unary: a message of ${size} bytes comes back`, async () => {
    const sent = randomBytes(size)
    const { message, status: told } = await unary(sent)
    assert.equal(told.code, status.OK)
    assert.ok(message.equals(sent))
  })
}
await check('unary: 4 MiB and a little more come back', async () => {
  const sent = randomBytes(4 * MIB + 1)
  assert.ok((await unary(sent)).message.equals(sent))
})
await check('unary: metadata, text and bytes, repeated, both as headers and as trailers', async () => {
  const bytes = randomBytes(100)
  const { initial, status: told } = await unary('x', { 'x-echo': ['one', 'two'], 'x-echo-bin': bytes })
  assert.deepEqual(initial.get('x-echo').join(', '), 'one, two')
  assert.ok(initial.get('x-echo-bin')[0].equals(bytes))
  assert.deepEqual(told.metadata.get('x-trailer').join(', '), 'one, two')
})
for (const code of [1, 2, 3, 5, 7, 8, 9, 10, 12, 13, 14, 15, 16]) {
  await check(`unary: status ${code} arrives with its message`, async () => {
    const { error, status: told } = await unary('x', { 'x-status': String(code), 'x-echo': 'kept' })
    assert.deepEqual([error.code, error.details], [code, 'as you wished: ü'])
    assert.deepEqual(told.metadata.get('x-trailer'), ['kept'])
  })
}
await check('unary: a method that nobody has is UNIMPLEMENTED', async () => {
  const { error } = await called((done) =>
    client.makeUnaryRequest('/postern.Echo/None', Buffer.from, Buffer.from, Buffer.from('x'), metadata(), done),
  )
  assert.equal(error.code, status.UNIMPLEMENTED)
})
await check('unary: a deadline that passes ends the call, for the server too', async () => {
  const id = randomUUID()
  const { error } = await unary('x', { 'x-never': '1', 'x-id': id }, { deadline: Date.now() + 300 })
  assert.equal(error.code, status.DEADLINE_EXCEEDED)
  assert.equal(await endingOf(id), 'cancelled')
})
await check('unary: a call that is cancelled is over for the server at once', async () => {
  const id = randomUUID()
  const over = called((done) => {
    const call = client.unary(Buffer.from('x'), metadata({ 'x-never': '1', 'x-id': id }), done)
    call.on('metadata', () => call.cancel())
    return call
  })
  assert.equal((await over).error.code, status.CANCELLED)
  assert.equal(await endingOf(id), 'cancelled')
})
await check('unary: 200 calls, 50 at once, each with its own answer', async () => {
  for (let round = 0; round < 4; round++) {
    const sent = Array.from({ length: 50 }, () => randomBytes(1000))
    const answers = await Promise.all(sent.map((message) => unary(message)))
    for (const [index, { message }] of answers.entries()) assert.ok(message.equals(sent[index]))
  }
})
await check('client stream: 100 messages arrive in order, as one', async () => {
  const told = await called((done) => {
    const call = client.collect(metadata({ 'x-echo': 'kept' }), done)
    for (let index = 0; index < 100; index++) call.write(Buffer.from(`${index},`))
    call.end()
    return call
  })
  assert.equal(String(told.message), Array.from({ length: 100 }, (_, index) => `${index},`).join(''))
  assert.deepEqual(told.status.metadata.get('x-trailer'), ['kept'])
})
await check('client stream: 8 MiB in messages of 64 KiB', async () => {
  const part = randomBytes(64 * 1024)
  const told = await called((done) => {
    const call = client.collect(metadata(), done)
    for (let index = 0; index < 96; index++) call.write(part)
    call.end()
    return call
  })
  assert.equal(told.status.code, status.OK, told.status.details)
  assert.equal(told.message.length, 96 * part.length)
})
await check('client stream: a server that has enough says so before the end', async () => {
  const told = await called((done) => {
    const call = client.collect(metadata({ 'x-early': '1' }), done)
    call.write(Buffer.from('one'))
    return call
  })
  assert.deepEqual([told.error.code, told.error.details], [status.RESOURCE_EXHAUSTED, 'enough'])
})
await check('server stream: 1,000 messages arrive in order, then the trailers', async () => {
  const call = client.count(Buffer.from('1000'), metadata({ 'x-echo': 'kept' }))
  const seen = []
  call.on('data', (message) => seen.push(Number(message)))
  const told = await ending(call)
  assert.deepEqual(
    seen,
    Array.from({ length: 1000 }, (_, index) => index),
  )
  assert.deepEqual([told.code, told.metadata.get('x-trailer')], [status.OK, ['kept']])
})
await check('server stream: 16 MiB wait for a reader that pauses', async () => {
  const call = client.count(Buffer.from(`256 ${64 * 1024}`), metadata())
  const ended = ending(call)
  let bytes = 0
  call.on('data', (message) => {
    bytes += message.length
  })
  call.pause()
  await delay(300)
  call.resume()
  assert.equal((await ended).code, status.OK)
  assert.equal(bytes, 16 * MIB)
})
await check('server stream: an error half-way comes behind what was sent', async () => {
  const call = client.count(Buffer.from('5'), metadata({ 'x-fail': '1' }))
  let seen = 0
  call.on('data', () => seen++)
  const told = await ending(call)
  assert.deepEqual([told.code, told.details, seen], [status.DATA_LOSS, 'half way', 5])
})
await check('server stream: cancelled by the client, over for the server', async () => {
  const id = randomUUID()
  const call = client.count(Buffer.from('1'), metadata({ 'x-never': '1', 'x-id': id }))
  call.on('data', () => call.cancel())
  assert.equal((await ending(call)).code, status.CANCELLED)
  assert.equal(await endingOf(id), 'cancelled')
})
await check('server stream: a deadline that passes while it is silent', async () => {
  const call = client.count(Buffer.from('1'), metadata({ 'x-never': '1' }), { deadline: Date.now() + 300 })
  call.resume()
  assert.equal((await ending(call)).code, status.DEADLINE_EXCEEDED)
})
await check('both streams: each message is back before the next is sent', async () => {
  const call = client.chat(metadata({ 'x-echo': 'kept' }))
  const ended = ending(call)
  for (let index = 0; index < 50; index++) {
    call.write(Buffer.from(`message ${index}`))
    const [message] = await once(call, 'data')
    assert.equal(String(message), `message ${index}`)
  }
  call.end()
  const told = await ended
  assert.deepEqual([told.code, told.metadata.get('x-trailer')], [status.OK, ['kept']])
})
await check('both streams: 4 MiB each way at once', async () => {
  const call = client.chat(metadata())
  const ended = ending(call)
  const sent = Array.from({ length: 64 }, () => randomBytes(64 * 1024))
  const seen = []
  call.on('data', (message) => seen.push(message))
  for (const message of sent) call.write(message)
  call.end()
  assert.equal((await ended).code, status.OK)
  assert.ok(Buffer.concat(seen).equals(Buffer.concat(sent)))
})
await check('both streams: the end of the client reaches the server', async () => {
  const id = randomUUID()
  const call = client.chat(metadata({ 'x-id': id }))
  call.resume()
  call.end()
  assert.equal((await ending(call)).code, status.OK)
  assert.equal(await endingOf(id), 'ended')
})
await check('both streams: a client that vanishes is over for the server', async () => {
  const id = randomUUID()
  const other = new Client(address, grpc.credentials.createInsecure(), {
    'grpc.default_authority': host,
    'grpc.use_local_subchannel_pool': 1,
  })
  const call = other.chat(metadata({ 'x-id': id }))
  const ended = ending(call)
  call.write(Buffer.from('here'))
  await once(call, 'data')
  call.cancel()
  other.close()
  await ended
  // grpc-js ends what it reads from such a call, and may say so before it says that the call is cancelled.
  assert.match(await endingOf(id), /^(?:ended|cancelled)$/)
})
await check('20 conversations at once on one connection', async () => {
  await Promise.all(
    Array.from({ length: 20 }, async (_, which) => {
      const call = client.chat(metadata())
      const ended = ending(call)
      for (let index = 0; index < 10; index++) {
        call.write(Buffer.from(`${which} ${index}`))
        const [message] = await once(call, 'data')
        assert.equal(String(message), `${which} ${index}`)
      }
      call.end()
      assert.equal((await ended).code, status.OK)
    }),
  )
})
report()
