import { expect, test } from 'vitest'
import { MACHINE, type Processes, watchNpx } from './npx-watch.ts'

const [TERMINAL, NPX, SHELL] = [10, 20, 30]
const NPX_STARTED = { npm_lifecycle_event: 'npx' }

/** npx, its shell where it stays, and the agent; the test ends them. */
function start({ shell = true, environment = NPX_STARTED as NodeJS.ProcessEnv, known = true } = {}) {
  const dead = new Set<number>()
  const parent = shell ? SHELL : NPX
  const processes: Processes = {
    parent: () => (dead.has(parent) ? 1 : parent),
    alive: (pid) => !dead.has(pid),
    find: (pid) => {
      if (!known) return undefined
      return pid === SHELL ? { command: 'sh', parent: NPX } : { command: 'npm exec tunnel', parent: TERMINAL }
    },
  }
  let look = (): void => undefined
  let gone = 0
  watchNpx({
    environment,
    processes,
    every(run) {
      look = run
      return () => {
        look = () => undefined
      }
    },
    gone: () => {
      gone += 1
    },
  })
  return {
    end(pid: number): number {
      dead.add(pid)
      look()
      look()
      return gone
    },
  }
}

test.each<[title: string, options: Parameters<typeof start>[0], ended: number, goneAfter: number]>([
  ['the shell of npx ends alone (SIGTERM)', {}, SHELL, 1],
  ['npx ends and its shell stays (SIGKILL)', {}, NPX, 1],
  ['npx ends whose shell has become the agent', { shell: false }, NPX, 1],
  ['the terminal of npx ends', { shell: false }, TERMINAL, 0],
  ['the terminal ends, with a shell between', {}, TERMINAL, 0],
  ['the shell ends on a system that says nothing of processes', { known: false }, SHELL, 1],
  ['the parent of an agent ends that npx has not started', { environment: {} }, SHELL, 0],
  ['the parent of a script of package.json ends', { environment: { npm_lifecycle_event: 'dev' } }, SHELL, 0],
])('%s', (_title, options, ended, goneAfter) => {
  expect(start(options).end(ended)).toBe(goneAfter)
})

test.each<[title: string, init: string, goneAtOnce: number]>([
  ['npx was gone before the agent looked', 'systemd', 1],
  ['npx is the first process of its container', 'npm exec tunnel', 0],
])('%s', (_title, command, goneAtOnce) => {
  let gone = 0
  watchNpx({
    environment: NPX_STARTED,
    processes: { parent: () => 1, alive: () => true, find: () => ({ command, parent: 0 }) },
    every: () => () => undefined,
    gone: () => {
      gone += 1
    },
  })
  expect(gone).toBe(goneAtOnce)
})

test('this machine says who its processes are', () => {
  expect(MACHINE.parent()).toBe(process.ppid)
  expect([MACHINE.alive(process.pid), MACHINE.alive(2 ** 22 + 1)]).toEqual([true, false])
  expect(MACHINE.find(process.pid)?.parent).toBe(process.ppid)
})
