/** A local server of server-sent events (WHATWG HTML §9.2); the query says how its connections end. Prints its port. Knows nothing of who listens. */
import { once } from 'node:events'
import { createServer } from 'node:http'

const HEAD = { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }
/** Streams by their id: what `next` lets go. */
const streams = new Map()

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  const id = searchParams.get('id')
  if (pathname === '/next') {
    const stream = streams.get(id)
    stream.send(searchParams.get('say'))
    return response.writeHead(204).end()
  }
  if (pathname === '/gone') return response.writeHead(204).end()
  if (pathname === '/step') {
    response.writeHead(200, HEAD)
    response.write('retry: 20\n\n')
    streams.set(id, { send: (text) => response.write(`data: ${text}\n\n`) })
    return
  }
  const [total, each] = [Number(searchParams.get('total')), Number(searchParams.get('each'))]
  const from = Number(request.headers['last-event-id'] ?? 0)
  response.writeHead(200, HEAD)
  response.write('retry: 20\n\n')
  for (let number = from + 1; number <= Math.min(total, from + each); number++) {
    response.write(`id: ${number}\nevent: number\ndata: ${number}\ndata: ${'x'.repeat(number % 500)}\n\n`)
  }
  if (from + each >= total) return
  if (pathname === '/ending') return response.end()
  // Cut only behind the last event, or it is the kernel that decides which ones arrive.
  if (response.writableNeedDrain) await once(response, 'drain')
  response.write(': the rest is cut off', () => response.socket.resetAndDestroy())
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
