import { STREAM_BACKLOG_BYTES } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { StreamLoad } from './stream-load.ts'

function loaded({ keptBytes = 0, bodyWaiting = 0, interimBytes = 0, length = 0 }) {
  return new StreamLoad({ sending: true, keptBytes }, { bodyWaiting, interimBytes, whole: true }, { length })
}

test.each<[what: string, load: () => StreamLoad, bytes: number]>([
  ['a body that waits', () => loaded({ length: 100 }), 100],
  ['a body that may have to be sent again', () => loaded({ keptBytes: 100 }), 100],
  ['a body that is to be delivered again', () => Object.assign(loaded({}), { againBytes: 100 }), 100],
  ['trailers', () => Object.assign(loaded({}), { trailerBytes: 100 }), 100],
  ['a head', () => Object.assign(loaded({}), { headBytes: 100 }), 300],
  [
    'a body that its local server does not take',
    () => Object.assign(loaded({}), { stalled: true }),
    STREAM_BACKLOG_BYTES,
  ],
  ['a response that its visitor does not take', () => loaded({ bodyWaiting: 100 }), 100],
  ['interim heads', () => loaded({ interimBytes: 100 }), 100],
])('%s counts as held', (_what, load, bytes) => {
  const stream = load()
  stream.bodyEnded = true
  stream.sent(0)
  expect([stream.held, stream.weight(0), stream.leastWeight(1e9)]).toEqual([bytes, bytes, bytes])
  stream.drop()
  expect(stream.held).toBe(0)
})
