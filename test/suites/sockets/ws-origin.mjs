/** A local server of WebSockets by `ws`; the path says what it does. Prints its port. Knows nothing of who asks. */
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const MIB = 1024 * 1024
/** What became of the connections that gave themselves an id. */
const endings = new Map()

const server = createServer((request, response) => {
  const ending = endings.get(new URL(request.url, 'http://localhost').searchParams.get('id'))
  response.writeHead(ending ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(ending ?? null))
})
const options = {
  noServer: true,
  maxPayload: 128 * MIB,
  handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
}
const plain = new WebSocketServer(options)
const deflating = new WebSocketServer({ ...options, perMessageDeflate: { threshold: 0 } })

const behaviours = {
  '/echo': (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })),
  '/greet': (socket) => socket.send('hello at once'),
  '/head': (socket, request) => socket.send(JSON.stringify({ url: request.url, headers: request.headers })),
  '/close': (socket) => socket.close(4001, 'as you wished'),
  '/terminate': (socket) => socket.terminate(),
  '/ping': (socket) => socket.once('pong', (data) => socket.send(`pong ${data}`)).ping('are you there'),
  '/flood': (socket) => {
    for (let index = 0; index < 512; index++) socket.send(Buffer.alloc(64 * 1024, index))
  },
}

server.on('upgrade', (request, socket, head) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  if (pathname === '/refuse') {
    return socket.end(
      'HTTP/1.1 401 Unauthorized\r\nX-Reason: not you\r\nContent-Length: 6\r\nConnection: close\r\n\r\nnot so',
    )
  }
  if (pathname === '/redirect') {
    return socket.end('HTTP/1.1 302 Found\r\nLocation: /echo\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  }
  const sockets = searchParams.has('deflate') ? deflating : plain
  sockets.handleUpgrade(request, socket, head, (webSocket) => {
    webSocket.on('error', () => undefined)
    webSocket.on('close', (code, reason) => endings.set(searchParams.get('id'), { code, reason: String(reason) }))
    behaviours[pathname]?.(webSocket, request)
  })
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
