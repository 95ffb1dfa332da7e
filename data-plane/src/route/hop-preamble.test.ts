import type { Subdomain } from '@postern/protocol/address'
import { HOP_PREAMBLE_BYTES } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { readPreamble, writePreamble } from './hop-preamble.ts'

const preamble = {
  name: 'demo' as Subdomain,
  epoch: 1_800_000_000_001,
  visitorAddress: '2001:db8::1',
  requestId: '7f0a5becf566-3',
}

function framed(text: string): Buffer {
  const bytes = Buffer.alloc(2 + Buffer.byteLength(text))
  bytes.writeUInt16BE(Buffer.byteLength(text))
  bytes.write(text, 2)
  return bytes
}

test('a preamble is read as it was written, whatever follows it', () => {
  const bytes = writePreamble(preamble)
  expect(readPreamble(Buffer.concat([bytes, Buffer.from('GET /')]))).toEqual({ preamble, length: bytes.length })
})

test('it is waited for, byte by byte', () => {
  const bytes = writePreamble(preamble)
  for (let end = 0; end < bytes.length; end += 1) expect(readPreamble(bytes.subarray(0, end))).toBeUndefined()
})

test('its length is judged before anything of it is waited for', () => {
  const bytes = Buffer.from([(HOP_PREAMBLE_BYTES + 1) >> 8, (HOP_PREAMBLE_BYTES + 1) & 0xff])
  expect(() => readPreamble(bytes)).toThrow(expect.objectContaining({ code: 'protocol-violation' }))
})

test.each([
  ['no JSON', '{'],
  ['no object', '[]'],
  ['a name that is none', JSON.stringify({ ...preamble, name: '../up' })],
  ['a reserved name', JSON.stringify({ ...preamble, name: 'admin' })],
  ['an epoch in words', JSON.stringify({ ...preamble, epoch: 'latest' })],
  ['no address', JSON.stringify({ ...preamble, visitorAddress: undefined })],
])('%s is no preamble', (_, text) => {
  expect(() => readPreamble(framed(text))).toThrow(expect.objectContaining({ code: 'protocol-violation' }))
})

test('fields of a later version are no fault', () => {
  expect(readPreamble(framed(JSON.stringify({ ...preamble, colour: 'red' })))?.preamble).toEqual(preamble)
})
