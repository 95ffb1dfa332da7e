/** How large a test is. Knows nothing of any test. */

/** `npm run test:full` asks for the full size, `.ci/run` for the gate's; what is run otherwise is the usual one. */
const FULL = process.env.POSTERN_FULL === '1'
const GATE = process.env.POSTERN_GATE === '1'

export function size<T>(usual: T, full: T, gate = usual): T {
  if (FULL) return full
  return GATE ? gate : usual
}
