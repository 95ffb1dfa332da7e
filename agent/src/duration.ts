/** A length of time as people write it. Knows nothing of what it is for. */

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 }

/** Milliseconds, whole: of `10s`, `1.5s`, `500ms`, `2m`, and of `0`, which needs no unit. Undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  const [, amount, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)$/.exec(text) ?? []
  return amount === undefined || unit === undefined ? undefined : Math.round(Number(amount) * UNITS[unit]!)
}
