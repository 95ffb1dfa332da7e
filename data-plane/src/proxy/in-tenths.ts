/** Milliseconds as text, to a tenth. Knows nothing of what took so long. */

/** Up to 100 ms, which most things take: a look costs a tenth of making the text. */
const KNOWN = Array.from({ length: 1000 }, (_, tenths) => text(tenths))

/** What is below zero counts as zero. */
export const tenthsOf = (ms: number): number => Math.max(0, Math.round(ms * 10))

/** `12.3`, of milliseconds. */
export function inTenths(ms: number): string {
  const tenths = tenthsOf(ms)
  return tenths < KNOWN.length ? KNOWN[tenths]! : text(tenths)
}

function text(tenths: number): string {
  const rest = tenths % 10
  const whole = (tenths - rest) / 10
  return rest === 0 ? `${whole}` : `${whole}.${rest}`
}
