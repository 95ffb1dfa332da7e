/** An application behind somebody's front: says what Express makes of each request, keeps a secure session, echoes WebSocket messages. Prints its port. */
import { createServer } from 'node:http'
import express from 'express'
import session from 'express-session'
import { WebSocketServer } from 'ws'

const app = express()
app.set('trust proxy', 1)
app.use(session({ secret: 'of the test', resave: false, saveUninitialized: true, cookie: { secure: true } }))
app.get('/seen', (request, response) => {
  const { ip, secure, protocol, host, headers } = request
  response.json({
    ip,
    secure,
    protocol,
    host,
    forwarded: headers.forwarded,
    forwardedHost: headers['x-forwarded-host'],
  })
})
app.get('/visits', (request, response) => {
  request.session.visits = (request.session.visits ?? 0) + 1
  response.json(request.session.visits)
})
app.get('/events', (request, response) => {
  response.set('content-type', 'text/event-stream')
  response.write('data: first\n\n')
  request.on('close', () => response.end())
})
app.post('/upload', (request, response) => {
  let bytes = 0
  request.on('data', (chunk) => {
    bytes += chunk.length
  })
  request.on('end', () => response.json(bytes))
})

const server = createServer(app)
new WebSocketServer({ server, path: '/echo' }).on('connection', (socket, request) => {
  socket.on('message', (data) => socket.send(`${data} ${request.headers['x-forwarded-for']}`))
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))
