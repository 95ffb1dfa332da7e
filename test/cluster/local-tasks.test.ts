/** `npm start -- --tasks 2`: a rolling restart that anyone can watch. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../../local/src/main.ts', import.meta.url))
/** 110 s of draining become 22 s. */
const TIME_SCALE = '0.2'

let folder: string | undefined
let child: ChildProcess | undefined
afterAll(async () => {
  if (child && child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  if (folder !== undefined) await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
})

test('a rolling restart of the local system replaces each task, tells how requests fare, and none fails', async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-local-'))
  child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), MAIN, '--data', folder, '--port', '0', '--tasks', '2'],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, POSTERN_TIME_SCALE: TIME_SCALE } },
  )
  let told = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    told += chunk
  })
  const says = async (what: string): Promise<void> => {
    while (!told.includes(what)) await once(child!.stdout!, 'data')
  }
  await says('Ctrl+C')
  expect(told).toContain('a rolling restart')
  child.kill('SIGUSR2')
  await says('is over')
  expect(told.match(/task \d (started|told to stop|gone)/g)).toEqual([
    'task 3 started',
    expect.stringMatching(/^task [12] told to stop$/),
    expect.stringMatching(/^task [12] gone$/),
    'task 4 started',
    expect.stringMatching(/^task [12] told to stop$/),
    expect.stringMatching(/^task [12] gone$/),
  ])
  const [, requests, failed] = /(\d+) requests, (\d+ failed.*)\s*$/.exec(told)!
  expect(Number(requests)).toBeGreaterThan(500)
  expect(failed).toBe('0 failed')
  child.kill('SIGINT')
  expect(await once(child, 'exit')).toEqual([0, null])
}, 240_000)
