/** Visitors that break HTTP/2 in ways of which `node:http2` of Node 20 says nothing, beside a good tunnel. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { frame, PREFACE } from '../../data-plane/src/testing/h2-frames.ts'
import { size } from '../support/full-size.ts'
import { inParallel, tell } from './experiment.ts'
import { startGoodTunnel } from './good-tunnel.ts'
import { FLAG, number, requestBlock, TYPE } from './h2-frames.ts'
import { BASE, lastWords, startTaskProcess, type TaskProcess } from './task-process.ts'

/** More than a task has places for visitors. */
const CONNECTIONS = size(400, 8200)
const AT_ONCE = 60
/** Where each of them has a request at the good tunnel: more than that has streams. */
const AT_ONCE_THERE = 400
/** For so long they have that request before they break the connection; shorter than anybody counts as slow. */
const STAY_MS = 900
const ATTACKERS = ['127.0.0.3', '127.0.0.4']
const GOOD = '127.0.0.2'
const HOST = `good.${BASE}`
const OTHER_HOST = `none.${BASE}`

const SETTINGS = frame(TYPE.settings, 0, 0)
const upload = (host: string): Buffer => frame(TYPE.headers, FLAG.endHeaders, 1, requestBlock(host, 'POST'))
const STRAY = frame(TYPE.continuation, FLAG.endHeaders, 1, Buffer.from('x'))
const GOAWAY = frame(7, 0, 0, Buffer.alloc(8))

/** What stands behind the preface. */
const BROKEN: readonly ((request: Buffer) => readonly Buffer[])[] = [
  (request) => [SETTINGS, request, STRAY],
  (request) => [SETTINGS, request, GOAWAY, STRAY],
  (request) => [SETTINGS, request, frame(TYPE.data, 0, 0, Buffer.from('x'))],
  (request) => [SETTINGS, request, frame(TYPE.ping, 0, 0, Buffer.from('x'))],
  (request) => [SETTINGS, request, frame(TYPE.windowUpdate, 0, 0, number(0))],
  (request) => [SETTINGS, request, frame(TYPE.headers, FLAG.endHeaders, 3, Buffer.alloc(6, 0xff))],
  () => [frame(TYPE.settings, 0, 0, Buffer.from('xxxxx'))],
  (request) => [request],
]

let task: TaskProcess
beforeAll(async () => {
  task = await startTaskProcess()
})
afterAll(() => task.stop())

/** An IPv4 address as /proc/net/tcp spells it. */
const hex = (address: string): string =>
  Buffer.from(address.split('.').reverse().map(Number)).toString('hex').toUpperCase()

/** Sockets that the task holds open for visitors from these addresses, whether these are still there or have left (proc_pid_net(5)). */
function socketsFrom(addresses: readonly string[]): number {
  const local = `:${task.publicPort.toString(16).toUpperCase().padStart(4, '0')}`
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/ +/))
    .filter(([, from, to]) => from?.endsWith(local) && addresses.some((address) => to?.startsWith(hex(address))))
    .filter((fields) => fields[9] !== '0').length
}

/** Asks for `host`, breaks the connection so long after that, and leaves. Whether it was told that there are too many visitors. */
async function breakOne(index: number, host: string, stayMs: number): Promise<boolean> {
  const localAddress = ATTACKERS[index % ATTACKERS.length]!
  const socket = connect({ port: task.publicPort, host: '127.0.0.1', localAddress })
  socket.on('error', () => {
    // 'close' follows.
  })
  const closed = new Promise<undefined>((resolve) => socket.once('close', () => resolve(undefined)))
  const request = upload(host)
  const frames = BROKEN[index % BROKEN.length]!(request)
  const asked = frames.indexOf(request) + 1
  socket.write(Buffer.concat([PREFACE, ...frames.slice(0, asked)]))
  const said = Promise.race([once(socket, 'data').then(([bytes]) => bytes as Buffer), closed])
  if (stayMs > 0) await Promise.race([setTimeout(stayMs), closed])
  socket.write(Buffer.concat(frames.slice(asked)))
  const first = await said
  socket.destroy()
  await closed
  return first?.toString('latin1').startsWith('HTTP/1.1 503') ?? false
}

test.each<[row: number, where: string, host: string, atOnce: number, stayMs: number]>([
  // Its streams are shared by all who ask for it.
  [21, 'beside', OTHER_HOST, AT_ONCE, 0],
  [25, 'at', HOST, AT_ONCE_THERE, STAY_MS],
])(
  'row %i: connections that break HTTP/2 %s a good tunnel leave nothing behind, and nobody else is refused',
  async (row, where, host, atOnce, stayMs) => {
    const began = performance.now()
    const ticket = await task.desk.issue('good', task.channelPort)
    const good = await startGoodTunnel({ ticket, publicPort: task.publicPort, host: HOST, visitorAddress: GOOD })
    await good.pace()
    let refused = 0
    let most = 0
    await inParallel(CONNECTIONS, atOnce, async (index) => {
      if (await breakOne(index, host, stayMs)) refused += 1
      if (index % 100 === 0) most = Math.max(most, socketsFrom(ATTACKERS))
    })
    const { answered, failed, failures, longest } = await good.pace()
    await expect.poll(() => socketsFrom(ATTACKERS), { timeout: 60_000 }).toBe(0)
    await good.stop()
    tell(
      row,
      `${CONNECTIONS} connections that break HTTP/2 ${where} the good tunnel (${most} at once at most, ${refused} refused): 0 sockets left; ` +
        `its own visitors: ${answered} answers, ${failed} failed, longest ${longest} ms`,
      began,
    )
    expect(task.alive).toBe(true)
    expect(lastWords(task.log)).toEqual([])
    expect(failures).toEqual({})
    expect(failed).toBe(0)
    expect(answered).toBeGreaterThan(0)
  },
  600_000,
)
