/**
 * Prints what the multiplexer costs: a small request in memory, without any socket, and short streams over one TCP connection beside
 * `@chainsafe/libp2p-yamux`, both ends in this process. Run: npx tsx test/bench/mux.bench.ts
 */
import { once } from 'node:events'
import { TunnelFault } from '@postern/protocol/fault'
import { Mux, type RawStream, WindowBudget } from '@postern/protocol/mux'
import { echo, readAll } from '../interop/exchange.ts'
import { type Libp2pStream, libp2pOnSocket, readAllOfLibp2p } from '../interop/libp2p-on-socket.ts'
import { muxOnSocket } from '../interop/mux-on-socket.ts'
import { socketPair } from '../interop/socket-pair.ts'

const ROUNDS = 5
const REQUEST = Buffer.alloc(300, 'q')
const RESPONSE = Buffer.alloc(300, 'r')

interface End {
  readonly mux: Mux
  accept: (stream: RawStream) => void
}

function end(side: 'agent' | 'server', budget: WindowBudget): End {
  const made: { mux?: Mux; accept: End['accept'] } = { accept: () => {} }
  made.mux = new Mux({
    side,
    budget,
    now: () => performance.now(),
    peerStreams: 256,
    events: {
      outputReady: () => {},
      streamOpened: (stream) => made.accept(stream),
      pong: () => {},
      goAway: () => {},
      violated: (fault) => {
        throw fault
      },
    },
  })
  return made as End
}

/** Requests and responses of 300 bytes on reused streams, `perFlush` at once, bytes carried by hand. ns for both ends together. */
function smallRequests(perFlush: number): number {
  const budget = new WindowBudget(32 * 1024 * 1024)
  const [server, agent] = [end('server', budget), end('agent', budget)]
  agent.accept = (stream) =>
    stream.listen({
      data: (chunk) => {
        stream.consume(chunk.length)
        stream.write(RESPONSE)
      },
      end: () => {},
      reset: () => {},
      writable: () => {},
    })
  let answered = 0
  const streams = Array.from({ length: perFlush }, () => {
    const stream = server.mux.openStream()
    stream.listen({
      data: (chunk) => {
        stream.consume(chunk.length)
        answered++
      },
      end: () => {},
      reset: () => {},
      writable: () => {},
    })
    return stream
  })
  const flushes = Math.ceil(400_000 / perFlush)
  const start = process.cpuUsage()
  for (let flush = 0; flush < flushes; flush++) {
    for (const stream of streams) stream.write(REQUEST)
    for (const piece of server.mux.pull(Number.POSITIVE_INFINITY)) agent.mux.receive(piece)
    for (const piece of agent.mux.pull(Number.POSITIVE_INFINITY)) server.mux.receive(piece)
  }
  const { user, system } = process.cpuUsage(start)
  server.mux.close(new TunnelFault('channel-closed'))
  if (answered !== flushes * perFlush) throw new Error(`${answered} answers`)
  return ((user + system) * 1000) / answered
}

const SHORT_STREAMS = 5000
const AT_ONCE = 50

/** One stream per exchange of 300 bytes each way, opened and ended on both sides. µs for both ends together. */
async function shortStreams(exchange: () => Promise<Buffer>): Promise<number> {
  const start = process.cpuUsage()
  let left = SHORT_STREAMS
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) if ((await exchange()).length !== REQUEST.length) throw new Error('short reply')
    }),
  )
  const { user, system } = process.cpuUsage(start)
  return (user + system) / SHORT_STREAMS
}

async function ours(): Promise<number> {
  await using sockets = await socketPair()
  const near = muxOnSocket(sockets.near, 'agent', () => {})
  muxOnSocket(sockets.far, 'server', echo)
  return await shortStreams(() => {
    const stream = near.mux.openStream()
    const reply = readAll(stream)
    stream.write(REQUEST)
    stream.end()
    return reply
  })
}

async function libp2p(): Promise<number> {
  await using sockets = await socketPair()
  const near = libp2pOnSocket(sockets.near, 'agent')
  const far = libp2pOnSocket(sockets.far, 'server')
  far.addEventListener('stream', ({ detail }: { detail: Libp2pStream }) => {
    detail.addEventListener('message', ({ data }) => detail.send(data))
    void once(detail, 'remoteCloseWrite').then(() => detail.close())
  })
  return await shortStreams(async () => {
    const stream = await near.createStream()
    const reply = readAllOfLibp2p(stream)
    stream.send(REQUEST)
    await stream.close()
    return reply
  })
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!

async function repeat(measure: () => number | Promise<number>): Promise<string> {
  await measure()
  const values: number[] = []
  for (let round = 0; round < ROUNDS; round++) values.push(await measure())
  const middle = median(values)
  return `${middle.toFixed(2)} (${values[0]!.toFixed(2)}–${values.at(-1)!.toFixed(2)})`
}

console.log(`Node ${process.version}, CPU of both ends together, median of ${ROUNDS} (least–most)`)
console.log(`small request, alone in its flush      ${await repeat(() => smallRequests(1))} ns`)
console.log(`small request, one of 32 in its flush  ${await repeat(() => smallRequests(32))} ns`)
console.log(`short stream over TCP, ours            ${await repeat(ours)} µs`)
console.log(`short stream over TCP, libp2p-yamux    ${await repeat(libp2p)} µs`)
