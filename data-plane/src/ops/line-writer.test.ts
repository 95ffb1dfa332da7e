import { LINE_BATCH_BYTES } from '@postern/protocol/limits'
import { expect, test, vi } from 'vitest'
import { LineWriter, type Outlet } from './line-writer.ts'

/** An outlet in the hands of the test: what it was given, and what it is still to answer. */
function outlet() {
  const written: string[] = []
  const answers: ((error?: Error, torn?: boolean) => void)[] = []
  const take: Outlet = (bytes, done) => {
    written.push(bytes.toString('latin1'))
    answers.push((error, torn = false) => done(error, torn))
  }
  return { take, written, answer: (error?: Error, torn?: boolean) => answers.shift()!(error, torn) }
}

test('lines that come together go out together, soon, and whole', () => {
  vi.useFakeTimers()
  try {
    const { take, written } = outlet()
    const writer = new LineWriter({ outlet: take, delayMs: 20 })
    writer.add('one')
    writer.add('two')
    expect(written).toEqual([])
    vi.advanceTimersByTime(20)
    expect(written).toEqual(['one\ntwo\n'])
  } finally {
    vi.useRealTimers()
  }
})

test('a full batch goes out at once, and none of its lines is broken', async () => {
  const { take, written, answer } = outlet()
  const writer = new LineWriter({ outlet: take })
  const line = 'x'.repeat(999)
  for (let i = 0; i < 2 * (LINE_BATCH_BYTES / 1000); i++) writer.add(line)
  expect(written).toHaveLength(1)
  const end = writer.end(5000)
  answer()
  answer()
  answer()
  await end
  for (const batch of written) expect(batch).toMatch(/^(x{999}\n)+$/)
  expect(written.join('')).toHaveLength(1000 * Math.ceil(2 * (LINE_BATCH_BYTES / 1000)))
})

test('what came while others were on their way follows them, though nothing comes after it', () => {
  vi.useFakeTimers()
  try {
    const { take, written, answer } = outlet()
    const writer = new LineWriter({ outlet: take, delayMs: 20 })
    writer.add('one')
    vi.advanceTimersByTime(20)
    writer.add('two')
    vi.advanceTimersByTime(1000)
    answer()
    vi.advanceTimersByTime(20)
    expect(written).toEqual(['one\n', 'two\n'])
  } finally {
    vi.useRealTimers()
  }
})

test('while nobody takes them, lines wait up to the ceiling; those beyond are dropped and counted', async () => {
  const { take, written, answer } = outlet()
  const writer = new LineWriter({ outlet: take, bufferBytes: 100 })
  writer.add('first')
  writer.flush()
  for (let i = 0; i < 50; i++) writer.add('123456789')
  expect(writer.dropped).toBe(40)
  // Whoever has a higher ceiling still has room.
  writer.add('metrics', 200)
  expect(writer.dropped).toBe(40)
  const end = writer.end(5000)
  answer()
  answer()
  await end
  expect(written).toEqual(['first\n', `${'123456789\n'.repeat(10)}metrics\n`])
})

test('what an outlet fails to take is counted, and after half a line the next begins on a line of its own', async () => {
  const { take, written, answer } = outlet()
  const writer = new LineWriter({ outlet: take })
  writer.add('one')
  writer.add('two')
  writer.flush()
  answer(new Error('ENOSPC'), true)
  expect(writer.dropped).toBe(2)
  writer.add('three')
  writer.flush()
  answer()
  writer.add('four')
  writer.flush()
  answer()
  await writer.end(5000)
  expect(written).toEqual(['one\ntwo\n', '\nthree\n', 'four\n'])
})

test('the end waits for what is on its way, and no longer than it is told', async () => {
  const { take } = outlet()
  const writer = new LineWriter({ outlet: take })
  writer.add('one')
  writer.flush()
  writer.add('two')
  await writer.end(10)
  expect(writer.dropped).toBe(1)
})

test('a line that no batch holds is dropped', () => {
  const writer = new LineWriter({ outlet: outlet().take })
  writer.add('x'.repeat(LINE_BATCH_BYTES))
  expect(writer.dropped).toBe(1)
})
