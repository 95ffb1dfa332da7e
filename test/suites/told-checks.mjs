/** The checks of one program, told to whoever started it as `[[name, outcome], …]` on standard output. Knows nothing of what they look at. */
import { setTimeout as delay } from 'node:timers/promises'

/** A check that takes longer hangs. */
const PATIENCE_MS = 30_000

const outcomes = []

/** Fails when `work` throws, or takes too long; the next one is made all the same. */
export async function check(name, work, patienceMs = PATIENCE_MS) {
  const patience = new AbortController()
  const late = delay(patienceMs, undefined, { signal: patience.signal }).then(() => {
    throw new Error(`not done in ${patienceMs} ms`)
  })
  late.catch(() => undefined)
  try {
    await Promise.race([work(), late])
    outcomes.push([name, 'passed'])
  } catch (error) {
    outcomes.push([name, String(error?.message ?? error)])
  } finally {
    patience.abort()
  }
}

/** Ends the program: a connection that a failed check has left open must not keep it. */
export function report() {
  process.stdout.write(`${JSON.stringify(outcomes)}\n`, () => process.exit(0))
}
