import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InboundBuffer } from './inbound-buffer.ts'

const anyText = fc.string({ maxLength: 5 })
const anyStep = fc.oneof(
  anyText.map((text) => ({ append: text })),
  fc.array(anyText, { maxLength: 3 }).map((texts) => ({ prepend: texts })),
  fc.constant({ take: true }),
)

test('bytes come out in the order in which they stand, whatever is put before or behind them', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 40 }), (steps) => {
      const buffer = new InboundBuffer()
      let model = ''
      for (const step of steps) {
        if ('append' in step) {
          buffer.append(Buffer.from(step.append))
          model += step.append
        } else if ('prepend' in step) {
          buffer.prepend(step.prepend.map((text) => Buffer.from(text)))
          model = step.prepend.join('') + model
        } else {
          expect(buffer.take()?.toString() ?? '').toBe(model)
          model = ''
        }
        expect(buffer.length).toBe(Buffer.byteLength(model))
      }
    }),
  )
})

test('bytes that were taken stay as they are when others come', () => {
  const buffer = new InboundBuffer()
  buffer.append(Buffer.from('a'))
  buffer.append(Buffer.from('b'))
  const taken = buffer.take()!
  buffer.append(Buffer.from('c'))
  buffer.append(Buffer.from('d'))
  expect(taken.toString()).toBe('ab')
})
