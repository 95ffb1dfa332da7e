/** The two ways to a local server: as it is, and through a tunnel of real processes. Knows nothing of who goes. */
import { startSystem } from '../support/start-system.ts'
import type { Suite, Way } from './suite.ts'
import { TlsFronts } from './tls-front.ts'

type Domain = Pick<Suite, 'base' | 'https'>

/** Calls `use` with the way without a tunnel. */
export async function direct<T>(
  use: (way: Way) => Promise<T>,
  { base: host = 'localhost', https }: Domain,
): Promise<T> {
  if (!https) return use({ name: 'direct', reach: async (port) => `http://127.0.0.1:${port}` })
  return withFronts(host, (fronts) =>
    use({
      name: 'direct',
      certificate: fronts.certificate,
      reach: async (port) => `https://${host}:${await fronts.before(port)}`,
    }),
  )
}

/** Hands `use` a way through data plane and agents of its own, which are gone afterwards; their output is then searched for secrets. */
export async function throughTunnel<T>(use: (way: Way) => Promise<T>, domain: Domain): Promise<T> {
  const { base, https } = domain
  const system = await startSystem({ ...(base !== undefined && { base }), ...(https !== undefined && { https }) })
  const hostOf = async (port: number, args: readonly string[] = []): Promise<string> => {
    // Only names below localhost lead to this machine without further ado.
    const server = base === undefined ? {} : { server: system.controlUrl }
    const { host } = await system.startAgent({ target: port, args, ...server })
    return new URL(`http://${host}`).hostname
  }
  try {
    const result = https
      ? await withFronts(system.base, async (fronts) => {
          const front = await fronts.before(system.publicPort)
          const { certificate } = fronts
          return use({ name: 'tunnel', certificate, reach: async (...to) => `https://${await hostOf(...to)}:${front}` })
        })
      : await use({ name: 'tunnel', reach: async (...to) => `http://${await hostOf(...to)}:${system.publicPort}` })
    if (!system.dataPlane.running) throw new Error(`the data plane ended\n${system.dataPlane.stderr}`)
    return result
  } finally {
    await system.stop()
  }
}

async function withFronts<T>(domain: string, use: (fronts: TlsFronts) => Promise<T>): Promise<T> {
  const fronts = new TlsFronts(domain)
  try {
    return await use(fronts)
  } finally {
    await fronts.stop()
  }
}
