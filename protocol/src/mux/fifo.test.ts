import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fifo } from './fifo.ts'

test('items come out in the order in which they went in, whatever is pushed and dropped meanwhile', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom('push', 'drop', 'clear'), fc.nat(300)), { maxLength: 30 })
  fc.assert(
    fc.property(steps, (all) => {
      const fifo = new Fifo<number>()
      const model: number[] = []
      let next = 0
      for (const [step, times] of all) {
        if (step === 'clear') {
          // A rare one.
          if (times > 20) continue
          fifo.clear()
          model.length = 0
          continue
        }
        for (let i = 0; i < times; i++) {
          if (step === 'push') {
            fifo.push(next)
            model.push(next++)
          } else {
            fifo.drop()
            model.shift()
          }
          expect(fifo.first).toBe(model[0])
        }
      }
    }),
    { numRuns: 100 },
  )
})
