import { TunnelFault } from '@postern/protocol/fault'
import { expect, test } from 'vitest'
import { Terminal } from './terminal.ts'

function terminal(quiet = false) {
  const said = { out: '', err: '' }
  const written = new Terminal({
    out: (text) => {
      said.out += text
    },
    err: (text) => {
      said.err += text
    },
    color: false,
    quiet,
    target: 'http://localhost:3000',
  })
  return { written, said }
}

const online = { kind: 'online', url: 'https://demo.test', subdomain: 'demo', connections: 1 } as const
const waiting = { kind: 'waiting', why: new TunnelFault('channel-lost'), delayMs: 1234 } as const

test('the URL goes to standard output alone, one line, once', () => {
  const { written, said } = terminal()
  for (const status of [{ kind: 'connecting' }, online, waiting, { kind: 'connecting' }, online] as const)
    written.status(status)
  expect(said.out).toBe('https://demo.test\n')
  expect(said.err.trimEnd().split('\n')).toEqual([
    'tunnel-agent: ready: https://demo.test → http://localhost:3000 (Ctrl+C ends it)',
    'tunnel-agent: reconnecting in 1.2 s: The channel broke off. Try again in a few seconds; the agent does so by itself.',
    'tunnel-agent: back: https://demo.test',
  ])
})

test('--quiet leaves the URL and errors', () => {
  const { written, said } = terminal(true)
  written.status(online)
  written.status(waiting)
  written.status(online)
  written.localServer(new TunnelFault('origin-refused'))
  written.closing()
  expect(said).toEqual({ out: 'https://demo.test\n', err: '' })
  written.fault(new TunnelFault('superseded'))
  expect(said.err).toMatch(/^tunnel-agent: error: Another agent has taken the subdomain\.\n.*\(superseded\)\n$/)
})

test('moving to another task is not worth a word', () => {
  const { written, said } = terminal()
  for (const status of [online, { kind: 'connecting' }, online] as const) written.status(status)
  expect(said.err.match(/\n/g)).toHaveLength(1)
})

test('a token that got into a message is masked', () => {
  const { written, said } = terminal()
  written.fault(new TunnelFault('usage-invalid', '"pst_uABC123" is no port.'))
  expect(said.err).not.toContain('ABC123')
  expect(said.err).toContain('pst_…')
})

test('notices name the local server, and nothing in them moves the cursor', () => {
  const { written, said } = terminal()
  written.notice({ about: 'still-waiting', detail: 'GET /slow' })
  written.notice({
    about: 'answer-refused',
    detail: 'GET /x: field-fold: no folds (RFC 9112 §5.2), in line 2 of the head',
  })
  written.notice({ about: 'cookie-dropped', detail: 'wide\x1b[2J' })
  expect(said.err.trimEnd().split('\n')).toEqual([
    'tunnel-agent: still waiting for localhost:3000: GET /slow',
    'tunnel-agent: local server: its answer was refused: GET /x: field-fold: no folds (RFC 9112 §5.2), in line 2 of the head',
    'tunnel-agent: cookie: wide?[2J was dropped, because its Domain would give it to other tunnels of the service; leave Domain out',
  ])
  expect(said.out).toBe('')
})

test('--quiet leaves notices out', () => {
  const { written, said } = terminal(true)
  written.notice({ about: 'still-waiting', detail: 'GET /slow' })
  expect(said.err).toBe('')
})
