import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { PROXY_HEADER_BYTES } from '../limits.ts'
import { openChannel, type ProxyPolicy, parseProxyHeader, readProxyHeader } from './index.ts'
import { dial, OpeningRig } from './testing/opening-rig.ts'

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const ipv4 = (address: string, port: number, tlv = Buffer.alloc(0)) => {
  const block = Buffer.concat([
    Buffer.from([...address.split('.').map(Number), 127, 0, 0, 1]),
    Buffer.from([port >> 8, port & 255, 27, 88]),
    tlv,
  ])
  return Buffer.concat([
    Buffer.from(`${SIGNATURE}2111`, 'hex'),
    Buffer.from([block.length >> 8, block.length & 255]),
    block,
  ])
}

interface Vector {
  title: string
  hex: string
  result: { kind: string; bytes?: number; source?: { address: string; port: number } }
}
const vectors = JSON.parse(
  readFileSync(new URL('../../../test/vectors/proxy-headers.json', import.meta.url), 'utf8'),
) as Vector[]

describe('a PROXY v2 header', () => {
  for (const { title, hex, result } of vectors)
    test(`of the vectors: ${title}`, () => {
      const header = parseProxyHeader(Buffer.from(hex, 'hex'))
      expect(header.kind).toBe(result.kind)
      if (header.kind === 'header')
        expect({ bytes: header.bytes, ...(header.source && { source: header.source }) }).toEqual({
          bytes: result.bytes,
          ...(result.source && { source: result.source }),
        })
      if (header.kind === 'invalid') expect(header.fault.code).toBe('proxy-header-invalid')
    })

  test('is incomplete at every byte before its end, and judged the same whatever follows', () => {
    const whole = ipv4('203.0.113.9', 51234, Buffer.from('ea000501766f6f6f', 'hex'))
    for (let end = 0; end < whole.length; end += 1)
      expect(parseProxyHeader(whole.subarray(0, end)).kind).toBe('incomplete')
    expect(parseProxyHeader(Buffer.concat([whole, whole]))).toEqual(parseProxyHeader(whole))
  })

  test('may be as long as the limit and not one byte longer, which is said before the rest has come', () => {
    const fits = ipv4('203.0.113.9', 1, Buffer.alloc(PROXY_HEADER_BYTES - 28))
    expect(parseProxyHeader(fits)).toMatchObject({ kind: 'header', bytes: PROXY_HEADER_BYTES })
    const beyond = ipv4('203.0.113.9', 1, Buffer.alloc(PROXY_HEADER_BYTES - 27)).subarray(0, 16)
    expect(parseProxyHeader(beyond).kind).toBe('invalid')
  })

  test('is never found in, and never throws over, arbitrary bytes', () => {
    const begins = fc.constantFrom('', SIGNATURE, `${SIGNATURE}21`, `${SIGNATURE}2111000c`, `${SIGNATURE}2021`)
    fc.assert(
      fc.property(begins, fc.uint8Array({ maxLength: 64 }), (begin, tail) => {
        const bytes = Buffer.concat([Buffer.from(begin, 'hex'), tail])
        const header = parseProxyHeader(bytes)
        if (header.kind === 'header') expect(header.bytes).toBeLessThanOrEqual(bytes.length)
        if (begin === '' && tail[0] !== 0x0d && tail.length > 0) expect(header.kind).toBe('absent')
      }),
    )
  })
})

describe('reading the header off a socket', () => {
  const servers: net.Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  async function accept(): Promise<{ near: net.Socket; far: net.Socket }> {
    const server = net.createServer()
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const connection = once(server, 'connection')
    const far = await dial((server.address() as net.AddressInfo).port)
    far.on('error', () => {})
    const [near] = (await connection) as [net.Socket]
    return { near, far }
  }

  test('gives the source and what came behind it, and loses no byte of what comes later', async () => {
    const { near, far } = await accept()
    far.write(Buffer.concat([ipv4('198.51.100.7', 4711), Buffer.from('GET / ')]))
    const { source, rest } = await readProxyHeader(near, 'required')
    expect(source).toEqual({ address: '198.51.100.7', port: 4711 })
    expect(near.isPaused()).toBe(true)
    far.end('HTTP/1.1\r\n')
    let text = String(rest)
    for await (const chunk of near) text += String(chunk)
    expect(text).toBe('GET / HTTP/1.1\r\n')
  })

  test('takes exactly one: a second header is payload', async () => {
    const { near, far } = await accept()
    const second = ipv4('10.0.0.1', 1)
    far.write(Buffer.concat([ipv4('198.51.100.7', 4711), second]))
    const { source, rest } = await readProxyHeader(near, 'required')
    expect(source.address).toBe('198.51.100.7')
    expect(rest.equals(second)).toBe(true)
    far.destroy()
  })

  test('without one: refused where it is required, passed on where it is optional, not looked for where it is off', async () => {
    const read = async (policy: ProxyPolicy, bytes: Buffer) => {
      const { near, far } = await accept()
      far.write(bytes)
      try {
        const { source, rest } = await readProxyHeader(near, policy)
        near.resume()
        return { own: source.port === far.localPort, rest: String(rest) }
      } finally {
        far.destroy()
      }
    }
    const request = Buffer.from('GET / HTTP/1.1\r\n')
    await expect(read('required', request)).rejects.toMatchObject({ code: 'proxy-header-invalid' })
    expect(await read('optional', request)).toEqual({ own: true, rest: 'GET / HTTP/1.1\r\n' })
    expect(await read('off', ipv4('10.0.0.1', 1))).toEqual({ own: true, rest: '' })
  })

  test('ends a socket that sends half a header and then nothing', async () => {
    const { near, far } = await accept()
    far.write(ipv4('198.51.100.7', 4711).subarray(0, 20))
    await expect(readProxyHeader(near, 'required', { timeoutMs: 20 })).rejects.toMatchObject({
      code: 'proxy-header-invalid',
    })
    expect(near.destroyed).toBe(true)
  })

  test('decides whose address the white list of a ticket is asked for', async () => {
    const rig = new OpeningRig({ proxyProtocol: 'required' })
    await rig.listen()
    const ticket = rig.issue({ allowedIps: new Set(['198.51.100.7']) })
    const honest = await dial(rig.port)
    honest.write(ipv4('::ffff:198.51.100.7'.slice(7), 4711))
    const [server, agent] = await Promise.all([rig.accepted(), openChannel(honest, ticket)])
    expect(server.clientAddress).toBe('198.51.100.7')
    agent.socket.destroy()
    const forged = await dial(rig.port)
    const opening = openChannel(forged, rig.issue())
    await expect(opening).rejects.toMatchObject({ code: 'channel-lost' })
    expect(await rig.refused()).toMatchObject({ code: 'proxy-header-invalid' })
    await rig.stop()
  })
})
