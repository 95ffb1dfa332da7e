import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TunnelFault } from '../fault.ts'
import { CONTROL_LINE_BYTES, CONTROL_LINES_PER_SECOND, EARNED_ANSWERS, HEARTBEAT_MS, SILENCE_MS } from '../limits.ts'
import type { RawStream, StreamListener } from '../mux/index.ts'
import { faultOf, refusedBy } from './control-messages.ts'
import { type AgentMessage, agentControlStream, type ServerMessage, serverControlStream } from './index.ts'

/** A stream whose two sides are this test. */
class StreamInHand implements RawStream {
  readonly id = 1
  readonly written: string[] = []
  consumed = 0
  takes = true
  listener: StreamListener | undefined

  listen(listener: StreamListener): void {
    this.listener = listener
  }

  write(chunk: Buffer): boolean {
    this.written.push(String(chunk))
    return this.takes
  }

  end(): void {
    this.written.push('FIN')
  }

  reset(): void {}

  consume(bytes: number): void {
    this.consumed += bytes
  }
}

function serverSide(now = () => 0) {
  const stream = new StreamInHand()
  const messages: AgentMessage[] = []
  const ends: (TunnelFault | undefined)[] = []
  const control = serverControlStream({
    stream,
    now,
    message: (message) => messages.push(message),
    ended: (fault) => ends.push(fault),
  })
  return { stream, messages, ends, control, say: (text: string) => stream.listener?.data(Buffer.from(text)) }
}

function agentSide() {
  const stream = new StreamInHand()
  const messages: ServerMessage[] = []
  const ends: (TunnelFault | undefined)[] = []
  agentControlStream({
    stream,
    now: () => 0,
    message: (message) => messages.push(message),
    ended: (fault) => ends.push(fault),
  })
  return { messages, ends, say: (text: string) => stream.listener?.data(Buffer.from(text)) }
}

interface Vector {
  title: string
  to: 'server' | 'agent'
  line: string
  result: { message?: unknown; fault?: string; ignored?: true }
}
const vectors = JSON.parse(
  readFileSync(new URL('../../../test/vectors/control-lines.json', import.meta.url), 'utf8'),
) as Vector[]

describe('a control line', () => {
  for (const { title, to, line, result } of vectors)
    test(`of the vectors, to the ${to}: ${title}`, () => {
      const side = to === 'server' ? serverSide() : agentSide()
      side.say(`${line}\n`)
      expect(side.messages).toEqual(result.message ? [result.message] : [])
      expect(side.ends.map((fault) => fault?.code)).toEqual(result.fault ? [result.fault] : [])
    })

  test('is read the same however it is cut into pieces', () => {
    const text =
      '{"type":"leaving"}\n{"type":"stream-fault","streamId":4,"fault":"origin-timeout","unsent":false}\n'.repeat(3)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: text.length }), { maxLength: 20 }), (cuts) => {
        const { messages, say, stream } = serverSide()
        let at = 0
        for (const cut of [...cuts.sort((a, b) => a - b), text.length]) {
          say(text.slice(at, cut))
          at = cut
        }
        expect(messages.map((message) => message.type)).toEqual(Array(3).fill(['leaving', 'stream-fault']).flat())
        expect(stream.consumed).toBe(text.length)
      }),
    )
  })

  test('may be as long as the limit and not one byte longer', () => {
    const line = (bytes: number) => `{"type":"leaving"${' '.repeat(bytes - 18)}}`
    const fits = serverSide()
    fits.say(`${line(CONTROL_LINE_BYTES)}\n`)
    expect([fits.messages.length, fits.ends]).toEqual([1, []])
    const beyond = serverSide()
    beyond.say(line(CONTROL_LINE_BYTES + 1))
    expect(beyond.ends).toMatchObject([{ code: 'protocol-violation' }])
  })

  test('that is wrong ends the reading, not the writing: the peer can still be told', () => {
    const { stream, messages, ends, control, say } = serverSide()
    say(
      '{"type":"hello","version":"0.1.0","instanceId":"i","slot":0,"pool":false,"rules":{"\\u0007allow":1}}\n{"type":"leaving"}\n',
    )
    say('{"type":"leaving"}\n')
    expect(messages).toEqual([])
    expect(ends).toMatchObject([{ code: 'hello-invalid', detail: 'hello: rules unknown ?allow.' }])
    control.send(refusedBy(ends[0] as TunnelFault))
    const { type, fault } = JSON.parse(stream.written[0] ?? '') as { type: string; fault: string }
    expect([type, fault]).toEqual(['refused', 'hello-invalid'])
  })
})

describe('the rate of control lines', () => {
  test('beyond the limit is a violation, but what a path held back and delivers at once is not', () => {
    let now = 0
    const { messages, ends, say } = serverSide(() => now)
    const survived = Math.floor((CONTROL_LINES_PER_SECOND * (HEARTBEAT_MS + SILENCE_MS)) / 1000)
    say('{"type":"leaving"}\n'.repeat(survived))
    expect([messages.length, ends.length]).toEqual([survived, 0])
    now += 1000
    say('{"type":"leaving"}\n'.repeat(CONTROL_LINES_PER_SECOND))
    expect([messages.length, ends.length]).toEqual([survived + CONTROL_LINES_PER_SECOND, 0])
    say('{"type":"leaving"}\n')
    expect(ends).toMatchObject([{ code: 'protocol-violation' }])
  })

  test('does not count what is said of streams that were opened, once for each', () => {
    const { messages, ends, control, say } = serverSide()
    const fault = '{"type":"stream-fault","streamId":4,"fault":"origin-refused","unsent":true}\n'
    const survived = Math.floor((CONTROL_LINES_PER_SECOND * (HEARTBEAT_MS + SILENCE_MS)) / 1000)
    for (let opened = 0; opened < 5000; opened++) control.streamOpened()
    say(fault.repeat(5000))
    expect([messages.length, ends]).toEqual([5000, []])
    say(fault.repeat(survived))
    expect([messages.length, ends]).toEqual([5000 + survived, []])
    say(fault)
    expect(ends).toMatchObject([{ code: 'protocol-violation' }])
  })

  test('counts every other line, however many streams were opened', () => {
    const survived = Math.floor((CONTROL_LINES_PER_SECOND * (HEARTBEAT_MS + SILENCE_MS)) / 1000)
    for (const line of ['{"type":"leaving"}\n', '{"type":"later"}\n']) {
      const { ends, control, say } = serverSide()
      for (let opened = 0; opened < 5000; opened++) control.streamOpened()
      say(line.repeat(survived))
      expect(ends).toEqual([])
      say(line)
      expect(ends).toMatchObject([{ code: 'protocol-violation' }])
    }
  })

  test('saves up no more than EARNED_ANSWERS', () => {
    const { messages, ends, control, say } = serverSide()
    for (let opened = 0; opened < 2 * EARNED_ANSWERS; opened++) control.streamOpened()
    say(
      '{"type":"stream-fault","streamId":4,"fault":"origin-refused","unsent":true}\n'.repeat(
        EARNED_ANSWERS + CONTROL_LINES_PER_SECOND * 100,
      ),
    )
    expect(ends).toMatchObject([{ code: 'protocol-violation' }])
    expect(messages.length).toBeLessThan(EARNED_ANSWERS + CONTROL_LINES_PER_SECOND * 100)
  })
})

describe('a control stream', () => {
  test('drops nothing, however much is said at once and whether or not the peer reads', () => {
    const { stream, control } = serverSide()
    for (let sent = 0; sent < 1000; sent++) {
      stream.takes = sent % 2 === 0
      control.send({ type: 'draining', deadlineMs: sent })
    }
    expect(stream.written).toEqual(Array.from({ length: 1000 }, (_, n) => `{"type":"draining","deadlineMs":${n}}\n`))
  })

  test('tells its end once, with the reason of a reset and without one for a FIN', () => {
    const cut = serverSide()
    const why = new TunnelFault('channel-lost')
    cut.stream.listener?.reset(why)
    cut.stream.listener?.end()
    expect(cut.ends).toEqual([why])
    const done = serverSide()
    done.stream.listener?.end()
    expect(done.ends).toEqual([undefined])
  })

  test('hears nothing more of a chunk whose first line made its owner end the channel', () => {
    const stream = new StreamInHand()
    let heard = 0
    serverControlStream({
      stream,
      now: () => 0,
      message() {
        heard += 1
        stream.listener?.reset(new TunnelFault('channel-closed'))
      },
      ended() {},
    })
    stream.listener?.data(Buffer.from('{"type":"leaving"}\n{"type":"leaving"}\n'))
    expect(heard).toBe(1)
  })

  test('carries a refusal as the fault it was', () => {
    const fault = new TunnelFault('server-busy', 'Too many.', { retryAfterMs: 250.4 })
    expect(faultOf(refusedBy(fault))).toMatchObject({ code: 'server-busy', detail: 'Too many.', retryAfterMs: 251 })
    expect(faultOf(refusedBy(new TunnelFault('revoked')))).toMatchObject({ code: 'revoked', detail: undefined })
  })
})
