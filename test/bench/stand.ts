/**
 * Stands up one whole Postern of the checkout this file lies in, from its built bundles, and tells its parent where. A process
 * of its own, so that another commit can be stood up beside this one; it stands until its parent lets go of the IPC channel.
 * With `hop` there are two data planes, and visitors come in at the one without the tunnel.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSystem } from '../support/start-system.ts'
import type { StandReport } from './contenders/postern.ts'

// The access log is on, as it is unless somebody says otherwise, and goes to a file: whoever reads a pipe would take of the machine what is measured.
const folder = await mkdtemp(join(tmpdir(), 'postern-bench-'))
const system = await startSystem({ dataPlaneOutput: join(folder, 'data-plane') })
const agent = await system.startAgent({ target: Number(process.argv[2]), subdomain: 'bench' })
const dataPlanes = [system.dataPlane.pid]
if (process.argv[3] === 'hop') dataPlanes.push((await system.startDataPlane()).pid)
const report: StandReport = {
  target: { port: system.publicPort, host: agent.host },
  processes: { 'data plane': dataPlanes, agent: [agent.process.pid] },
}
process.send?.(report)
process.on('disconnect', async () => {
  await system.stop()
  await rm(folder, { recursive: true, force: true })
  process.exit(0)
})
