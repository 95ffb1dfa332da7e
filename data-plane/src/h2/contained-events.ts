/** Subscribes to the events of `node:http2` so that an exception in a listener cannot end the process. */
import type { EventEmitter } from 'node:events'

export type Subscribe = <A extends unknown[]>(event: string, listener: (...args: A) => void) => void

/**
 * `node:http2` calls listeners from native callbacks: what they throw is an uncaught exception. Here `failed` gets it, and ends the one
 * stream or session that the events are of.
 */
export function containedEvents(emitter: EventEmitter, failed: (error: unknown) => void): Subscribe {
  return (event, listener) => {
    emitter.on(event, (...args) => {
      try {
        listener(...(args as Parameters<typeof listener>))
      } catch (error) {
        failed(error)
      }
    })
  }
}
