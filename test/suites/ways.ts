/** The two ways to a local server: as it is, and through a tunnel of real processes. Knows nothing of who goes. */
import { startSystem } from '../support/start-system.ts'
import type { Way } from './suite.ts'

export const direct: Way = {
  name: 'direct',
  reach: async (port) => `http://127.0.0.1:${port}`,
}

/** Hands `use` a way through data plane and agents of its own, which are gone afterwards; their output is then searched for secrets. */
export async function throughTunnel<T>(use: (way: Way) => Promise<T>, base?: string): Promise<T> {
  const system = await startSystem(base === undefined ? {} : { base })
  try {
    const result = await use({
      name: 'tunnel',
      async reach(port, args = []) {
        // A name that is nobody's leads to no control plane.
        const { host } = await system.startAgent({
          target: port,
          args,
          ...(base === undefined ? {} : { server: system.controlUrl }),
        })
        return `http://${new URL(`http://${host}`).hostname}:${system.publicPort}`
      },
    })
    if (!system.dataPlane.running) throw new Error(`the data plane ended\n${system.dataPlane.stderr}`)
    return result
  } finally {
    await system.stop()
  }
}
