/** Files of one project run one after the other in the same processes: none may leave there what changes the next one, or what it has opened. */
import { afterAll, expect, vi } from 'vitest'
import { openBeyond, openResources } from './resources/open-resources.ts'

const before = { ...process.env }
const openBefore = openResources()

// Of all hooks of a file this one is the last: vitest ends in reverse what was begun.
afterAll(async () => {
  const names = new Set([...Object.keys(before), ...Object.keys(process.env)])
  const changed = [...names].filter((name) => process.env[name] !== before[name])
  expect(changed, 'variables of the environment that the file left changed').toEqual([])
  expect(vi.isFakeTimers(), 'the file left the clock faked').toBe(false)
  expect(await openBeyond(openBefore), 'what the file has opened and not closed').toEqual([])
})
