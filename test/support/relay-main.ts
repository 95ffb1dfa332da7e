/** A relay as a process: `relay-main.ts <host> <target host> <target port>`. Prints its port. */
import { startRelay } from './relay.ts'

const [host, targetHost, targetPort] = process.argv.slice(2)
const relay = await startRelay(host!, { host: targetHost!, port: Number(targetPort) })
process.stdout.write(`${relay.port}\n`)
process.on('disconnect', () => process.exit())
process.on('SIGTERM', () => process.exit())
