/**
 * The server behind every contender, a process of its own: `GET /` is answered with a few bytes, `GET /bytes/<n>` with n
 * bytes, any other request's body is read and counted. It reads plain HTTP/1.1 with Content-Length and nothing else; its
 * CPU time is nobody's.
 */
import { createServer, type Socket } from 'node:net'

const SMALL = Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n')
const HEAD_END = Buffer.from('\r\n\r\n')
const BLOCK = Buffer.alloc(256 * 1024, 'postern ')

function serve(socket: Socket): void {
  let head = Buffer.alloc(0)
  let bodyLeft = 0
  let bodyBytes = 0
  let sendLeft = 0

  const answer = (text: string): void => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\n\r\n${text}`)
  }
  const send = (): void => {
    while (sendLeft > 0) {
      const piece = sendLeft >= BLOCK.length ? BLOCK : BLOCK.subarray(0, sendLeft)
      sendLeft -= piece.length
      if (!socket.write(piece)) return
    }
  }
  const begin = (text: string): void => {
    const bytes = /^GET \/bytes\/(\d+) /.exec(text)?.[1]
    bodyBytes = bodyLeft = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? 0)
    if (bytes !== undefined) {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${bytes}\r\n\r\n`)
      sendLeft = Number(bytes)
      send()
    } else if (bodyLeft === 0) socket.write(SMALL)
  }

  socket.setNoDelay(true)
  socket.on('drain', send)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    let at = 0
    while (at < chunk.length) {
      if (bodyLeft > 0) {
        const taken = Math.min(bodyLeft, chunk.length - at)
        bodyLeft -= taken
        at += taken
        if (bodyLeft === 0) answer(`${bodyBytes}\n`)
        continue
      }
      const rest = at === 0 ? chunk : chunk.subarray(at)
      const joined = head.length === 0 ? rest : Buffer.concat([head, rest])
      const end = joined.indexOf(HEAD_END)
      if (end < 0) {
        head = Buffer.from(joined)
        return
      }
      at += end + HEAD_END.length - head.length
      head = Buffer.alloc(0)
      begin(joined.toString('latin1', 0, end + 2))
    }
  })
}

const server = createServer(serve)
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as { port: number }).port }))
process.on('disconnect', () => process.exit(0))
