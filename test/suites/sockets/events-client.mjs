/** A visitor by `eventsource`, of what events-origin.mjs serves at the address it is given. Knows nothing of what lies between. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { EventSource } from 'eventsource'
import { check, report } from '../told-checks.mjs'

const base = process.argv[2]

/** Listens until the last number has come. @returns the numbers as they came, and how often the stream was opened */
function numbers(path, total) {
  const source = new EventSource(`${base}${path}`)
  const came = []
  let opened = 0
  source.addEventListener('open', () => opened++)
  return new Promise((resolve) => {
    source.addEventListener('number', ({ data, lastEventId }) => {
      const [number, padding] = data.split('\n')
      came.push([number === lastEventId, Number(number), padding.length === Number(number) % 500])
      if (Number(number) < total) return
      source.close()
      resolve({ came, opened })
    })
  })
}

const everyOne = (total) => Array.from({ length: total }, (_, index) => [true, index + 1, true])

await check('10,000 events in one stream, each once and in order', async () => {
  const { came, opened } = await numbers('/ending?total=10000&each=10000', 10_000)
  assert.deepEqual([came, opened], [everyOne(10_000), 1])
})
await check('a stream that ends every 10 events is resumed behind the last one', async () => {
  const { came, opened } = await numbers('/ending?total=200&each=10', 200)
  assert.deepEqual([came, opened], [everyOne(200), 20])
})
await check('a stream that is cut every 10 events is resumed without a missing or a repeated one', async () => {
  const { came, opened } = await numbers('/cut?total=200&each=10', 200)
  assert.deepEqual(came, everyOne(200))
  assert.ok(opened >= 20, `opened ${opened} times`)
})
await check('each event passes at once, not with the next one', async () => {
  const id = randomUUID()
  const source = new EventSource(`${base}/step?id=${id}`)
  await new Promise((resolve) => source.addEventListener('open', resolve, { once: true }))
  for (let number = 0; number < 50; number++) {
    const next = new Promise((resolve) => source.addEventListener('message', resolve, { once: true }))
    await fetch(`${base}/next?id=${id}&say=${number}`)
    assert.equal((await next).data, String(number))
  }
  source.close()
})
await check('50 streams at once', async () => {
  const all = await Promise.all(Array.from({ length: 50 }, () => numbers('/ending?total=100&each=50', 100)))
  for (const { came } of all) assert.deepEqual(came, everyOne(100))
})
await check('204 ends it for good', async () => {
  const source = new EventSource(`${base}/gone`)
  await new Promise((resolve) => source.addEventListener('error', resolve, { once: true }))
  assert.equal(source.readyState, EventSource.CLOSED)
})
report()
