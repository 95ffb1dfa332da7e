import { TunnelFault } from '@postern/protocol/fault'
import { expect, test } from 'vitest'
import { type FaultAnswerOptions, faultAnswer } from './fault-answer.ts'

const options: FaultAnswerOptions = { accept: undefined, method: 'GET', requestId: 'r-1', keepAlive: true }

const split = (answer: Buffer): { head: string; body: string } => {
  const text = answer.toString('utf8')
  const end = text.indexOf('\r\n\r\n')
  return { head: text.slice(0, end), body: text.slice(end + 4) }
}

test('a browser gets a page, a program JSON, everybody else text', () => {
  const fault = new TunnelFault('tunnel-not-found')
  const browser = split(faultAnswer(fault, { ...options, accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }))
  expect(browser.head).toContain('Content-Type: text/html')
  expect(browser.body).toContain('<h1>No tunnel has this name.</h1>')
  const program = split(faultAnswer(fault, { ...options, accept: 'application/json' }))
  expect(JSON.parse(program.body)).toMatchObject({ status: 404, code: 'tunnel-not-found', requestId: 'r-1' })
  expect(split(faultAnswer(fault, { ...options, accept: '*/*' })).head).toContain('Content-Type: text/plain')
})

test('the length is that of the body in bytes, and HEAD gets the head alone', () => {
  const fault = new TunnelFault('tunnel-offline')
  const whole = split(faultAnswer(fault, options))
  expect(whole.head).toContain(`Content-Length: ${Buffer.byteLength(whole.body)}\r\n`)
  const headOnly = split(faultAnswer(fault, { ...options, method: 'HEAD' }))
  expect(headOnly.head).toContain(`Content-Length: ${Buffer.byteLength(whole.body)}\r\n`)
  expect(headOnly.body).toBe('')
})

test('the code, the request id and the wait stand in the head', () => {
  const { head } = split(faultAnswer(new TunnelFault('tunnel-offline', undefined, { retryAfterMs: 2500 }), options))
  expect(head).toContain('HTTP/1.1 503 Service Unavailable')
  expect(head).toContain('tunnel-error: tunnel-offline')
  expect(head).toContain('Postern-Request-Id: r-1')
  expect(head).toContain('Retry-After: 3')
})

test('a detail is escaped in the page, and kept to ourselves when the failure is not the visitor’s', () => {
  const own = new TunnelFault('request-invalid', '<script>"&\'')
  const page = split(faultAnswer(own, { ...options, accept: 'text/html' })).body
  expect(page).not.toContain('<script>')
  expect(page).toContain('&#60;script&#62;')
  const inner = new TunnelFault('origin-refused', 'connect ECONNREFUSED 127.0.0.1:3000')
  expect(faultAnswer(inner, options).toString()).not.toContain('127.0.0.1')
})
