/** A client whose process dies, or whose answers are lost, between two calls. */
import type { DynamoClient } from '@postern/protocol/store'

type Send = (command: object, ...rest: unknown[]) => Promise<unknown>

/** The first `calls` calls reach the table; then the process is gone, and nothing does. */
export const diesAfter = (client: DynamoClient, calls: number): DynamoClient => {
  let left = calls
  return intercept(client, (send, command) => {
    if (left === 0) return Promise.reject(new Error('the process is gone'))
    left -= 1
    return send(command)
  })
}

/** Every call reaches the table, and no answer comes back. */
export const losesAnswers = (client: DynamoClient): DynamoClient =>
  intercept(client, async (send, command) => {
    await send(command)
    throw new Error('the answer is lost')
  })

/** Calls of one kind, after the first `passing` of them, wait until they are let go; `reached` resolves when the first of them waits. */
export function holdsBack(client: DynamoClient, command: string, passing = 0) {
  let left = passing
  let letGo = () => {}
  let arrive = () => {}
  const gate = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const reached = new Promise<void>((resolve) => {
    arrive = resolve
  })
  const held = intercept(client, async (send, given) => {
    if (given.constructor.name === command) {
      if (left === 0) {
        arrive()
        await gate
      } else left -= 1
    }
    return send(given)
  })
  return { client: held, reached, letGo }
}

function intercept(client: DynamoClient, behave: (send: Send, command: object) => Promise<unknown>): DynamoClient {
  const wrap = <T extends { send: unknown }>(inner: T): T =>
    new Proxy(inner, {
      get: (target, property) =>
        property === 'send'
          ? (command: object) => behave((target.send as Send).bind(target), command)
          : Reflect.get(target, property, target),
    })
  return { patient: wrap(client.patient), once: wrap(client.once), destroy: () => client.destroy() }
}
