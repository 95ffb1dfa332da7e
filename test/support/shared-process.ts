/** Files of one project run one after the other in the same processes: none may leave there what changes the next one, or what it has opened. */
import { afterAll, expect, vi } from 'vitest'
import { openBeyond, openResources } from './resources/open-resources.ts'

/**
 * What a PublicListener that is drained at once leaves of HTTP/2: it resets sockets whose shutdown is pending, and Node never closes those (see `resetSocket`). To be
 * struck out when it resets them by that function.
 */
const RESETS_TOO_EARLY = /data-plane\/src\/(public|route)\/h2\//

const before = { ...process.env }
const openBefore = openResources()

// Of all hooks of a file this one is the last: vitest ends in reverse what was begun.
afterAll(async () => {
  const names = new Set([...Object.keys(before), ...Object.keys(process.env)])
  const changed = [...names].filter((name) => process.env[name] !== before[name])
  expect(changed, 'variables of the environment that the file left changed').toEqual([])
  expect(vi.isFakeTimers(), 'the file left the clock faked').toBe(false)
  if (RESETS_TOO_EARLY.test(expect.getState().testPath ?? '')) return
  expect(await openBeyond(openBefore), 'what the file has opened and not closed').toEqual([])
})
