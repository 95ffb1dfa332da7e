/** Drives small requests over plain sockets from this process, where wrk is not installed. Knows nothing of who answers. */
import { connect, type Socket } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'
import { ResponseReader } from '../response-reader.ts'
import type { LoadGenerator, LoadReport, LoadRequest } from './load.ts'

export const socketGenerator: LoadGenerator = { version: `own generator on Node ${process.versions.node}`, run: drive }

async function drive({ target, connections, seconds }: LoadRequest): Promise<LoadReport> {
  const request = Buffer.from(`GET / HTTP/1.1\r\nHost: ${target.host}\r\n\r\n`)
  const waits: number[] = []
  const sockets: Socket[] = []
  let errors = 0
  let running = true

  const begun = performance.now()
  for (let n = 0; n < connections; n++) {
    const socket = connect({ host: '127.0.0.1', port: target.port, noDelay: true })
    let asked = 0
    const ask = (): void => {
      asked = performance.now()
      socket.write(request)
    }
    const reader = new ResponseReader((status) => {
      waits.push(performance.now() - asked)
      if (status !== 200) errors++
      if (running) ask()
    })
    socket.on('connect', ask)
    socket.on('data', (chunk) => reader.read(chunk, chunk.length))
    socket.on('error', () => errors++)
    socket.on('end', () => {
      if (running) errors++
    })
    sockets.push(socket)
  }
  await after(seconds * 1000)
  running = false
  const spent = (performance.now() - begun) / 1000
  for (const socket of sockets) socket.destroy()
  waits.sort((a, b) => a - b)
  const percentile = (share: number): number => waits[Math.floor(share * (waits.length - 1))] ?? Number.NaN
  return { requests: waits.length, seconds: spent, p50: percentile(0.5), p99: percentile(0.99), errors }
}
