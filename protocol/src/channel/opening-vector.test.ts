/** The recorded opening in test/vectors: what a stranger's implementation can check itself against. */
import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isIssuedWorkerId, parseDeploymentKeys } from '../ticket/index.ts'
import { parseProxyHeader } from './index.ts'
import { dial, OpeningRig } from './testing/opening-rig.ts'

interface Vector {
  proxyHeader: string
  channelKey: string
  expiresAt: string
  workerId: string
  encryptionKeyText: string
  answerLine: string
  clientHello: string
}
const vector = JSON.parse(
  readFileSync(new URL('../../../test/vectors/opening.json', import.meta.url), 'utf8'),
) as Vector
const hello = Buffer.from(vector.clientHello, 'hex')
const key = Buffer.from(vector.encryptionKeyText, 'hex')

/** HKDF-Expand-Label (RFC 8446 §7.1) of 32 bytes. */
function expandLabel(secret: Buffer, label: string, context: Buffer): Buffer {
  const name = Buffer.from(`tls13 ${label}`)
  const info = Buffer.concat([Buffer.from([0, 32, name.length]), name, Buffer.from([context.length]), context])
  return createHmac('sha256', secret)
    .update(Buffer.concat([info, Buffer.from([1])]))
    .digest()
}

describe('the recorded opening', () => {
  let rig: OpeningRig
  beforeAll(async () => {
    rig = new OpeningRig({ proxyProtocol: 'required', timeoutMs: 500 })
    await rig.listen()
  })
  afterAll(() => rig.stop())

  test('has a ClientHello whose only PSK is the id, bound to the key as RFC 8446 §4.2.11.2 says', () => {
    expect(hello.subarray(0, 2).toString('hex')).toBe('1603')
    expect(hello.readUInt16BE(3)).toBe(hello.length - 5)
    const binder = hello.subarray(-32)
    // The binders list is the last thing in the message: two bytes of length, one of the binder's own, 32 of it.
    const truncated = hello.subarray(5, -35)
    const identity = Buffer.from(vector.workerId)
    const offered = Buffer.concat([
      Buffer.from([0, identity.length + 6, 0, identity.length]),
      identity,
      Buffer.alloc(4),
    ])
    expect(truncated.subarray(-offered.length).equals(offered)).toBe(true)
    const earlySecret = createHmac('sha256', Buffer.alloc(32)).update(key).digest()
    const nothing = createHash('sha256').digest()
    const finishedKey = expandLabel(expandLabel(earlySecret, 'ext binder', nothing), 'finished', Buffer.alloc(0))
    const transcript = createHash('sha256').update(truncated).digest()
    expect(createHmac('sha256', finishedKey).update(transcript).digest().equals(binder)).toBe(true)
  })

  test('has an id whose MAC fits the channel key and the expiry', () => {
    const { workerId, channelKey } = vector
    const [at, keys] = [Date.parse(vector.expiresAt), parseDeploymentKeys(`{"current":"${channelKey}","accepted":[]}`)]
    expect([at - 1, at].map((now) => isIssuedWorkerId(workerId, keys, now))).toEqual([true, false])
  })

  test('is taken by the server end up to the point where only the holder of the key share can go on', async () => {
    const { source } = parseProxyHeader(Buffer.from(vector.proxyHeader, 'hex')) as { source: { address: string } }
    rig.issue({
      workerId: vector.workerId,
      encryptionKey: key,
      encryptionKeyText: vector.encryptionKeyText,
      allowedIps: new Set([source.address]),
    })
    const socket = await dial(rig.port)
    socket.write(Buffer.concat([Buffer.from(vector.proxyHeader, 'hex'), Buffer.from(`${vector.workerId}\n`)]))
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toBe(vector.answerLine)
    socket.write(hello)
    const [flight] = (await once(socket, 'data')) as [Buffer]
    expect([flight[0], flight[5]]).toEqual([0x16, 0x02]) // a handshake record that begins with ServerHello
    expect(rig.consumed).toEqual([])
    socket.destroy()
    await rig.refused()
  })
})
