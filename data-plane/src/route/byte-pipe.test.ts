import { TunnelFault } from '@postern/protocol/fault'
import { expect, test } from 'vitest'
import { ScriptedStream } from '../testing/scripted-route.ts'
import { pipe } from './byte-pipe.ts'

/** A stream that may be full. */
class Stream extends ScriptedStream {
  full = false

  override write(chunk: Buffer): boolean {
    super.write(chunk)
    return !this.full
  }
}

function setup(mayPass?: () => boolean) {
  const [one, two] = [new Stream(), new Stream()]
  const told: string[] = []
  const events = (name: string) => ({
    over: () => void told.push(`over by ${name}`),
    broken: (_end: unknown, why: TunnelFault) => void told.push(`${name}: ${why.code}`),
  })
  const [end] = pipe(one, { ...events('one'), ...(mayPass && { mayPass }) }, two, events('two'))
  return { one, two, told, end }
}

test('bytes pass both ways and are given back to the window they came from', () => {
  const { one, two } = setup()
  one.answer('there')
  two.answer('and back')
  expect([two.received, one.received]).toEqual(['there', 'and back'])
  expect([one.consumed, two.consumed]).toEqual([5, 8])
})

test('a reader that has no room holds its writer back, and the other direction goes on', () => {
  const { one, two } = setup()
  two.full = true
  one.answer('much')
  one.answer(' more')
  two.answer('back')
  expect([two.received, one.consumed, two.consumed]).toEqual(['much more', 0, 4])
  two.listener!.writable()
  expect(one.consumed).toBe(9)
})

test('each direction ends by itself, and the pipe is over with the second', () => {
  const { one, two, told } = setup()
  one.listener!.end()
  expect([two.state, told]).toEqual(['ended', []])
  two.answer('late')
  expect(one.received).toBe('late')
  two.listener!.end()
  expect([one.state, told]).toEqual(['ended', ['over by two']])
})

test('a reset is told with the end that it came from', () => {
  const { two, told } = setup()
  two.listener!.reset(new TunnelFault('channel-lost'))
  expect(told).toEqual(['two: channel-lost'])
})

test('what may not pass waits in its order, its end too, and is not given back meanwhile', () => {
  let open = false
  const { one, two, end } = setup(() => open)
  one.answer('a')
  open = true
  one.answer('b')
  one.listener!.end()
  expect([two.received, two.state, one.consumed]).toEqual(['', 'open', 0])
  end.resume()
  expect([two.received, two.state, one.consumed]).toEqual(['ab', 'ended', 2])
})
