/** A gRPC server by @grpc/grpc-js that echoes in all four kinds of calls; prints its port. Knows nothing of who calls. */
import grpc from '@grpc/grpc-js'
import { ECHO } from './echo-service.mjs'

const MIB = 1024 * 1024
const endings = new Map()
/** The first counts: grpc-js tells of every call that is over as cancelled. */
const note = (id, how) => endings.has(id) || endings.set(id, how)

/** Sends back what it was sent: metadata as initial metadata, and as trailers under another name. */
function greet(call) {
  const id = call.metadata.get('x-id')[0]
  if (id !== undefined) call.on('cancelled', () => note(id, 'cancelled'))
  const initial = new grpc.Metadata()
  for (const value of call.metadata.get('x-echo')) initial.add('x-echo', value)
  for (const value of call.metadata.get('x-echo-bin')) initial.add('x-echo-bin', value)
  call.sendMetadata(initial)
  return id
}

function trailers(call) {
  const metadata = new grpc.Metadata()
  for (const value of call.metadata.get('x-echo')) metadata.add('x-trailer', value)
  return metadata
}

const server = new grpc.Server({ 'grpc.max_receive_message_length': 8 * MIB })
server.addService(ECHO, {
  unary(call, callback) {
    const status = call.metadata.get('x-status')[0]
    if (call.metadata.get('x-never').length > 0) return void greet(call)
    if (status !== undefined)
      return callback({ code: Number(status), details: 'as you wished: ü', metadata: trailers(call) })
    greet(call)
    callback(null, call.request, trailers(call))
  },
  collect(call, callback) {
    greet(call)
    const parts = []
    if (call.metadata.get('x-early').length > 0)
      return callback({ code: grpc.status.RESOURCE_EXHAUSTED, details: 'enough', metadata: trailers(call) })
    call.on('data', (part) => parts.push(part))
    call.on('end', () => callback(null, Buffer.concat(parts), trailers(call)))
  },
  async count(call) {
    greet(call)
    const [times, size] = String(call.request).split(' ').map(Number)
    let goOn = () => undefined
    call.on('drain', () => goOn()).on('cancelled', () => goOn())
    for (let index = 0; index < times && !call.cancelled; index++) {
      const room = call.write(size ? Buffer.alloc(size, index) : Buffer.from(String(index)))
      if (!room)
        await new Promise((resolve) => {
          goOn = resolve
        })
    }
    if (call.metadata.get('x-fail').length > 0)
      return call.emit('error', { code: grpc.status.DATA_LOSS, details: 'half way', metadata: trailers(call) })
    if (call.metadata.get('x-never').length === 0) call.end(trailers(call))
  },
  chat(call) {
    const id = greet(call)
    call.on('data', (message) => call.write(message))
    // A call that is cancelled ends too, and is told to be cancelled after that.
    call.on('end', () =>
      setImmediate(() => {
        if (id !== undefined) note(id, call.cancelled ? 'cancelled' : 'ended')
        call.end(trailers(call))
      }),
    )
    call.on('error', () => undefined)
  },
  endings(call, callback) {
    callback(null, Buffer.from(endings.get(String(call.request)) ?? ''))
  },
})
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error
  process.stdout.write(`${port}\n`)
})
