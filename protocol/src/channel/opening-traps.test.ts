/** The four traps of TLS-PSK in Node, each attack shown to work on a naive end first. The fourth (the end of the socket) is in channel.scaled.test.ts. */
import { execFile } from 'node:child_process'
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { OpeningCeilings, openChannel } from './index.ts'
import { OpeningSocket } from './opening-socket.ts'
import { secureAgent, secureServer } from './secure.ts'
import { dial, OpeningRig, turn } from './testing/opening-rig.ts'

const withCode = (code: string) => expect.objectContaining({ name: 'TunnelFault', code })
const TLS13: tls.SecureContextOptions = {
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256',
  ecdhCurve: 'X25519',
}

let rig: OpeningRig
beforeEach(async () => {
  rig = new OpeningRig()
  await rig.listen()
})
afterEach(() => rig.stop())

async function listening(onSocket: (socket: net.Socket) => void): Promise<net.Server & { port: number }> {
  const server = net.createServer(onSocket)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(server, { port: (server.address() as net.AddressInfo).port })
}

describe('trap 1: a session of one channel', () => {
  const offered: tls.TLSSocket[] = []
  afterEach(() => {
    for (const socket of offered.splice(0)) socket.destroy()
  })

  /** An agent that keeps the session of its own channel and offers it under another's id. */
  async function sessionOf(
    port: number,
    begin: (socket: net.Socket) => Promise<void>,
    identity: string,
    psk: Uint8Array,
  ) {
    const socket = await dial(port)
    await begin(socket)
    const own = tls.connect({
      ...TLS13,
      socket,
      pskCallback: () => ({ psk, identity }),
      checkServerIdentity: () => undefined,
    })
    const [session] = (await once(own, 'session')) as [Buffer]
    own.destroy()
    return session
  }

  async function offer(port: number, session: Buffer, begin: (socket: net.Socket) => Promise<void>): Promise<string> {
    const socket = await dial(port)
    await begin(socket)
    const secured = tls.connect({ ...TLS13, socket, session, checkServerIdentity: () => undefined })
    offered.push(secured)
    return new Promise<string>((resolve) => {
      secured.once('secureConnect', () => resolve('accepted'))
      secured.once('error', () => resolve('refused'))
      secured.once('close', () => resolve('refused'))
    })
  }

  test('opens everybody’s ticket at a server that resumes sessions', async () => {
    const key = randomBytes(32)
    const context = tls.createSecureContext(TLS13)
    let asked = 0
    const server = await listening((raw) => {
      raw.on('error', () => {})
      const secured = new tls.TLSSocket(raw, {
        isServer: true,
        secureContext: context,
        // One session ticket in a hundred has a zero byte so near its beginning that it passes for a name up to there, and OpenSSL asks for its key.
        pskCallback: (_socket: tls.TLSSocket, offered: string) => {
          if (offered !== 'mine') return null
          asked += 1
          return key
        },
      } as tls.TLSSocketOptions)
      secured.on('error', () => {})
    })
    const session = await sessionOf(server.port, async () => {}, 'mine', key)
    expect(await offer(server.port, session, async () => {})).toBe('accepted')
    expect(asked).toBe(1)
    server.close()
  })

  test('opens nothing here, and the ticket that was aimed at stays usable', async () => {
    const say = (workerId: string) => async (socket: net.Socket) => {
      socket.write(`${workerId}\n`)
      await once(socket, 'readable')
      socket.read()
    }
    const own = rig.issue()
    const session = await sessionOf(rig.port, say(own.workerId), own.workerId, own.encryptionKey)
    await rig.outcome()
    const victim = rig.issue()
    expect(await offer(rig.port, session, say(victim.workerId))).toBe('refused')
    expect(await rig.refused()).toEqual(withCode('key-mismatch'))
    expect(rig.consumed).not.toContain(victim.workerId)
    const [opened] = await Promise.all([openChannel(await dial(rig.port), victim), rig.accepted()])
    opened.socket.destroy()
  })

  test('proves nothing by itself, were sessions resumed', async () => {
    const context = tls.createSecureContext(TLS13)
    const [mine, theirs] = [randomBytes(32), randomBytes(32)]
    const proofs: unknown[] = []
    const server = await listening((raw) => {
      raw.on('error', () => {})
      const [id, key] = proofs.length === 0 ? ['mine', mine] : ['theirs', theirs]
      const { socket, event, proof } = secureServer(raw, id as string, key as Buffer, context)
      socket.on('error', () => {})
      socket.once(event, () => proofs.push(proof()))
    })
    const session = await sessionOf(server.port, async () => {}, 'mine', mine)
    expect(proofs).toEqual([undefined])
    expect(await offer(server.port, session, async () => {})).toBe('accepted')
    while (proofs.length < 2) await turn()
    expect(proofs[1]).toEqual(withCode('key-mismatch'))
    server.close()
  })

  test('nor does one’s own key under another’s id', async () => {
    const [own, victim] = [rig.issue(), rig.issue()]
    const socket = await dial(rig.port)
    socket.write(`${victim.workerId}\n`)
    await once(socket, 'readable')
    socket.read()
    const secured = tls.connect({
      ...TLS13,
      socket,
      pskCallback: () => ({ psk: own.encryptionKey, identity: own.workerId }),
      checkServerIdentity: () => undefined,
    })
    secured.on('error', () => {})
    expect(await rig.refused()).toEqual(withCode('key-mismatch'))
    expect([rig.tickets.has(own.workerId), rig.tickets.has(victim.workerId)]).toEqual([true, true])
  })
})

describe('trap 2: a trusted certificate', () => {
  const { certificate, key } = selfSigned('localhost')

  /** Somebody on the path who answers every id and has a certificate that the machine trusts. */
  const impostor = () =>
    listening((raw) => {
      raw.on('error', () => {})
      raw.once('data', () => {
        raw.write('{"ok":true,"taskId":"task-1"}\n')
        const secured = new tls.TLSSocket(raw, { isServer: true, cert: certificate, key, minVersion: 'TLSv1.3' })
        secured.on('error', () => {})
      })
    })

  test('passes for the key at an agent that writes checkServerIdentity as every example does', async () => {
    const server = await impostor()
    const socket = await dial(server.port)
    socket.write('some-id\n')
    await once(socket, 'readable')
    socket.read()
    const fooled = tls.connect({
      minVersion: 'TLSv1.3',
      socket,
      ca: certificate,
      pskCallback: () => ({ psk: randomBytes(32), identity: 'some-id' }),
      checkServerIdentity: () => undefined,
    })
    await once(fooled, 'secureConnect')
    expect(fooled.authorized).toBe(true)
    fooled.destroy()
    server.close()
  })

  test('is key-mismatch here', async () => {
    const server = await impostor()
    const opening = openChannel(await dial(server.port), rig.issue())
    await expect(opening).rejects.toEqual(withCode('key-mismatch'))
    server.close()
  })

  test('is refused by the identity check alone, were it in the trust store', async () => {
    const server = await impostor()
    const socket = await dial(server.port)
    socket.write('some-id\n')
    await once(socket, 'readable')
    socket.read()
    const trusting = tls.createSecureContext({ minVersion: 'TLSv1.3', ca: certificate })
    const { socket: secured, event, proof } = secureAgent(socket, 'some-id', randomBytes(32), trusting)
    const [outcome] = await Promise.race([once(secured, 'error'), once(secured, event).then(() => [proof()])])
    expect(outcome).toEqual(withCode('key-mismatch'))
    secured.destroy()
    server.close()
  })

  test('is refused by an agent on a machine that trusts it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-trust-'))
    writeFileSync(`${folder}/ca.pem`, certificate)
    const server = await impostor()
    const program = `
      import net from 'node:net'
      import tls from 'node:tls'
      import { openChannel } from ${JSON.stringify(new URL('./opening.ts', import.meta.url).href)}
      const plain = net.connect(${server.port}, '127.0.0.1')
      plain.write('some-id\\n')
      plain.once('readable', () => {
        plain.read()
        const fooled = tls.connect({ socket: plain, minVersion: 'TLSv1.3', pskCallback: () => null, checkServerIdentity: () => undefined })
        fooled.once('error', (error) => { console.log('naive agent', error.code); process.exit(1) })
        fooled.once('secureConnect', async () => {
          console.log('naive agent: accepted')
          fooled.destroy()
          const ticket = { workerId: 'some-id', encryptionKeyText: '${'ab'.repeat(32)}' }
          const error = await openChannel(net.connect(${server.port}, '127.0.0.1'), ticket).catch((error) => error)
          console.log('openChannel:', error.code)
        })
      })`
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', program],
      { env: { ...process.env, NODE_EXTRA_CA_CERTS: `${folder}/ca.pem`, NODE_OPTIONS: '' } },
    )
    rmSync(folder, { recursive: true })
    server.close()
    expect(stdout.trim().split('\n')).toEqual(['naive agent: accepted', 'openChannel: key-mismatch'])
  })
})

describe('trap 3: a reset during the look-up', () => {
  test('kills a process whose raw socket nobody listens to', async () => {
    const program = `
      import net from 'node:net'
      const server = net.createServer((socket) => { socket.once('data', () => {}) })
      server.listen(0, '127.0.0.1', () => {
        const peer = net.connect(server.address().port, '127.0.0.1')
        peer.write('some-id\\n', () => setTimeout(() => peer.resetAndDestroy(), 20))
      })
      setTimeout(() => { console.log('survived'); process.exit(0) }, 500)`
    const outcome = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]).then(
      () => 'survived',
      (error: { stderr: string }) => error.stderr,
    )
    expect(outcome).toContain('ECONNRESET')
  })

  test('leaves a TLSSocket that is made over it silent for ever', async () => {
    const silent: string[] = []
    const server = await listening((raw) => {
      raw.on('error', () => {})
      raw.once('close', () => {
        const secured = new tls.TLSSocket(raw, { isServer: true, secureContext: tls.createSecureContext(TLS13) })
        for (const event of ['error', 'close', 'end', 'secure']) secured.on(event, () => silent.push(event))
        server.emit('made')
      })
      raw.resume()
    })
    const made = once(server, 'made')
    const peer = await dial(server.port)
    peer.resetAndDestroy()
    await made
    for (let i = 0; i < 50; i += 1) await turn()
    expect(silent).toEqual([])
    server.close()
  })

  test('neither kills nor leaks here: 200 of 200 slots come back at once', async () => {
    const ceilings = new OpeningCeilings()
    await rig.stop()
    rig = new OpeningRig({ ceilings })
    await rig.listen()
    const answers: (() => void)[] = []
    rig.beforeFind = () => new Promise((resolve) => answers.push(resolve))
    const peers = await Promise.all(Array.from({ length: 200 }, () => dial(rig.port)))
    for (const peer of peers) peer.write(`${rig.issue().workerId}\n`)
    while (answers.length < 200) await turn()
    expect(ceilings.total).toBe(200)
    for (const peer of peers) peer.resetAndDestroy()
    for (let i = 0; i < 200; i += 1) expect(await rig.refused()).toEqual(withCode('channel-lost'))
    for (const answer of answers) answer()
    while (rig.sockets.size > 0) await turn()
    expect([ceilings.total, ceilings.addresses, rig.consumed.length]).toEqual([0, 0, 0])
  })

  test('in the very turn in which the look-up ends is noticed before TLS begins', async () => {
    rig.beforeFind = async () => {
      for (const socket of rig.sockets) socket.destroy()
    }
    const peer = await dial(rig.port)
    peer.write(`${rig.issue().workerId}\n`)
    expect(await rig.refused()).toEqual(withCode('channel-lost'))
    peer.destroy()
  })
})

test('a socket that was destroyed a moment ago is never wrapped', async () => {
  const socket = await dial(rig.port)
  const owner = new OpeningSocket(socket)
  socket.destroy()
  let wrapped = false
  const secured = owner.secure((raw) => {
    wrapped = true
    return secureAgent(raw, 'some-id', randomBytes(32))
  })
  await expect(secured).rejects.toEqual(withCode('channel-lost'))
  expect(wrapped).toBe(false)
})

/** A self-signed Ed25519 certificate for `name` (RFC 5280 §4.1, RFC 8410), made here so that no private key lies in the repository. */
function selfSigned(name: string): { certificate: string; key: string } {
  const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
    const body = Buffer.concat(parts)
    const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 255]
    return Buffer.concat([Buffer.from([tag, ...length]), body])
  }
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const algorithm = der(0x30, Buffer.from('06032b6570', 'hex'))
  const commonName = der(0x30, Buffer.from('0603550403', 'hex'), der(0x0c, Buffer.from(name)))
  const issuer = der(0x30, der(0x31, commonName))
  const validity = der(0x30, der(0x17, Buffer.from('200101000000Z')), der(0x17, Buffer.from('491231235959Z')))
  const alternative = der(0x30, der(0x82, Buffer.from(name)))
  const extensions = der(0x30, der(0x30, Buffer.from('0603551d11', 'hex'), der(0x04, alternative)))
  const toBeSigned = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    algorithm,
    issuer,
    validity,
    issuer,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const signature = der(0x03, Buffer.from([0]), sign(null, toBeSigned, privateKey))
  const text = der(0x30, toBeSigned, algorithm, signature).toString('base64').replaceAll(/.{64}/g, '$&\n')
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}
