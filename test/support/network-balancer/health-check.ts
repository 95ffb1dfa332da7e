/** One health check as a network load balancer makes it of a target group with PROXY v2: a LOCAL header, then GET /readyz. Knows nothing of what follows from it. */
import { connect } from 'node:net'
import { LOCAL_HEADER } from '@postern/local/proxy-header'

const CHECK = 'GET /readyz HTTP/1.1\r\nHost: target\r\nUser-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n\r\n'
const PASSED = /^HTTP\/1\.[01] 2\d\d /

/** @param port on 127.0.0.1. Never rejects: no answer in time is no. */
export function checkHealth(port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const timer = setTimeout(() => socket.destroy(), timeoutMs)
    let answer = ''
    socket.on('connect', () => socket.write(Buffer.concat([LOCAL_HEADER, Buffer.from(CHECK)])))
    socket.on('data', (bytes: Buffer) => {
      answer += bytes.toString('latin1')
      if (answer.includes('\r\n')) socket.destroy()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(PASSED.test(answer))
    })
  })
}
