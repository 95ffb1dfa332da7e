/** A local server by socket.io. Prints its port. Knows nothing of who asks. */
import { createServer } from 'node:http'
import { Server } from 'socket.io'

const server = createServer()
const io = new Server(server, {
  maxHttpBufferSize: 8 * 1024 * 1024,
  pingInterval: 2000,
  connectionStateRecovery: { maxDisconnectionDuration: 60_000, skipMiddlewares: true },
})
io.on('connection', (socket) => {
  socket.on('echo', (...values) => values.pop()(...values))
  socket.on('join', (room, done) => {
    socket.join(room)
    done()
  })
  socket.on('say', (room, text) => io.to(room).emit('said', text))
  socket.on('count', (times) => {
    for (let index = 0; index < times; index++) socket.emit('number', index)
  })
  socket.on('leave me', () => socket.disconnect(true))
  socket.on('cut me, then say', (texts) => {
    // Of those that stand by, so that what is said meanwhile is kept for it.
    socket.conn.close()
    for (const text of texts) io.to(socket.id).emit('said', text)
  })
})
io.of('/private').use((socket, next) =>
  next(socket.handshake.auth.key === 'right' ? undefined : new Error('wrong key')),
)
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
