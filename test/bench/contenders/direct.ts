/** The origin by itself: what the machine, the generator and the origin can do with nothing in between. */
import type { Contender } from '../contender.ts'

export const direct: Contender = {
  name: 'direct',
  settings: 'the load generator talks to the origin',
  find: async () => ({ kind: 'found', version: `Node ${process.versions.node}` }),
  start: async (origin) => ({
    target: { port: origin.port, host: 'localhost' },
    processes: new Map(),
    stop: async () => undefined,
  }),
}
