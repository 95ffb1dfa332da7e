/** The process of a fleet: starts its agents a few at a time, and tells what becomes of them. */
import { type FleetEvent, type FleetOrder, machineNow } from './fleet.ts'
import { startPlainAgent } from './plain-agent.ts'

/** Agents that open their first channel at once. */
const WIDTH = 20
const TELL_EVERY_MS = 20

const untold: FleetEvent[] = []
setInterval(() => {
  if (untold.length > 0) process.send!(untold.splice(0))
}, TELL_EVERY_MS)

process.once('message', async ({ names, tokens, server, originPort }: FleetOrder) => {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < names.length) {
      const index = next++
      await start(names[index]!, tokens[index]!, server, originPort)
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
})
process.on('disconnect', () => process.exit())

/** Resolves when it is online for the first time. */
function start(name: string, token: string, server: string, port: number): Promise<void> {
  return new Promise((resolve) => {
    const agent = startPlainAgent({
      name,
      server,
      token,
      place: () => ({
        port,
        opened({ task, epoch }) {
          untold.push({ kind: 'online', name, at: machineNow(), task, epoch })
          resolve()
        },
      }),
      lost: ({ code }) => untold.push({ kind: 'lost', name, at: machineNow(), why: code }),
    })
    void agent.over.then((fault) => {
      untold.push({ kind: 'over', name, at: machineNow(), why: fault?.code ?? 'stopped' })
      resolve()
    })
  })
}
