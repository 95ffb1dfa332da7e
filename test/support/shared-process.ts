/** Files of one project run one after the other in the same processes: none may leave there what changes the next one. Knows nothing of what is tested. */
import { afterAll, expect, vi } from 'vitest'

const before = { ...process.env }

// Of all hooks of a file this one is the last: vitest ends in reverse what was begun.
afterAll(() => {
  const names = new Set([...Object.keys(before), ...Object.keys(process.env)])
  const changed = [...names].filter((name) => process.env[name] !== before[name])
  expect(changed, 'variables of the environment that the file left changed').toEqual([])
  expect(vi.isFakeTimers(), 'the file left the clock faked').toBe(false)
})
