/** yamux-js 0.2.0 as a peer, as far as it goes: whole frames per chunk, no FIN, no RST. */
import { describe, expect, it } from 'vitest'
import { line, Solo } from '../../protocol/src/mux/testing/solo.ts'
import { YamuxJs } from './yamux-js.ts'

/** Carries what both have to say across, a frame per chunk, until neither has anything. */
async function settle(ours: Solo, theirs: YamuxJs): Promise<string[]> {
  const wire: string[] = []
  for (;;) {
    const [there, back] = [ours.sent(), await theirs.sent()]
    if (there.length + back.length === 0) return wire
    for (const frame of there) {
      wire.push(`> ${line(frame)}`)
      await theirs.receive(frame)
    }
    for (const frame of back) {
      wire.push(`< ${line(frame)}`)
      ours.receive(frame)
    }
  }
}

describe('yamux-js against our multiplexer', () => {
  it('exchanges data on a stream that it opens', async () => {
    const [ours, theirs] = [new Solo({ side: 'server' }), new YamuxJs('client')]
    const heard = theirs.open()
    heard.stream.write('question')
    await settle(ours, theirs)
    expect(ours.opened[0]!.bytes.toString()).toBe('question')
    ours.opened[0]!.stream.write(Buffer.from('answer'))
    await settle(ours, theirs)
    expect(heard.received()).toBe('answer'.length)
    expect(ours.faults).toEqual([])
  })

  it('exchanges data on a stream that we open, once SYN has come without any', async () => {
    const [ours, theirs] = [new Solo({ side: 'agent' }), new YamuxJs('server')]
    const recorder = ours.open()
    await settle(ours, theirs)
    recorder.stream.write(Buffer.from('question'))
    await settle(ours, theirs)
    expect(theirs.heard[0]!.bytes.toString()).toBe('question')
    theirs.opened[0]!.write('answer')
    await settle(ours, theirs)
    expect(recorder.bytes.toString()).toBe('answer')
  })

  it('is sent a megabyte within its windows, and answers our ping', async () => {
    const [ours, theirs] = [new Solo({ side: 'agent' }), new YamuxJs('server')]
    const { stream } = ours.open()
    await settle(ours, theirs)
    stream.write(Buffer.alloc(1_000_000, 'x'))
    ours.mux.ping()
    await settle(ours, theirs)
    expect(theirs.heard[0]!.bytes.length).toBe(1_000_000)
    expect([ours.pongs.length, ours.faults, theirs.errors]).toEqual([1, [], []])
  })
})
