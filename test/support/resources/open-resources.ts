/** What keeps the event loop of this process alive, by kind: sockets, servers, timers, child processes. */
import { setTimeout as pause } from 'node:timers/promises'

export type OpenResources = ReadonlyMap<string, number>

/** A handle that is being closed takes a turn or two, and a library's timer seconds. The rest is for a slow machine. */
const PATIENCE_MS = 15_000
const LOOK_AGAIN_MS = 5
const LOOKS_AT_REST = 40

export function openResources(): OpenResources {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

/** The least of each kind within a few looks, so that what is passing does not count. */
export async function openAtRest(): Promise<OpenResources> {
  let least = openResources()
  for (let looks = 1; looks < LOOKS_AT_REST; looks += 1) {
    await pause(LOOK_AGAIN_MS)
    const now = openResources()
    least = new Map([...least].map(([kind, count]) => [kind, Math.min(count, now.get(kind) ?? 0)]))
  }
  return least
}

/** Waits until there is no more of any kind than in `base`. Returns what there still is more of: `2 TCPSocketWrap`. */
export async function openBeyond(base: OpenResources, patienceMs = PATIENCE_MS): Promise<string[]> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    await pause(LOOK_AGAIN_MS)
    const more = [...openResources()].flatMap(([kind, count]) => {
      const added = count - (base.get(kind) ?? 0)
      return added > 0 ? [`${added} ${kind}`] : []
    })
    if (more.length === 0 || performance.now() > deadline) return more
  }
}
