/**
 * Stands up one whole Postern of the checkout this file lies in, from its built bundles, and tells its parent where. A process
 * of its own, so that another commit can be stood up beside this one; it stands until its parent lets go of the IPC channel.
 */
import { startSystem } from '../support/start-system.ts'
import type { StandReport } from './contenders/postern.ts'

const system = await startSystem()
const agent = await system.startAgent({ target: Number(process.argv[2]), subdomain: 'bench' })
const report: StandReport = {
  target: { port: system.publicPort, host: agent.host },
  processes: { 'data plane': [system.dataPlane.pid], agent: [agent.process.pid] },
}
process.send?.(report)
process.on('disconnect', () => void system.stop().then(() => process.exit(0)))
