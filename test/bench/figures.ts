/** Numbers as text, with no more digits than repeated measurements agree on. Knows nothing of what they count. */
import type { Summary } from './statistics.ts'

/** Three significant digits; thousands as k. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 10_000) return `${figure(value / 1000)} k`
  if (Math.abs(value) >= 100) return value.toFixed(0)
  if (Math.abs(value) >= 1) return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
  return value.toFixed(3)
}

/** Median (min–max). */
export const spread = ({ median, min, max }: Summary): string => `${figure(median)} (${figure(min)}–${figure(max)})`
