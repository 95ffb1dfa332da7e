/** A visitor that writes its requests byte for byte and reads the answers one after the other. Knows nothing of where it is connected. */
import type { NetConnectOpts } from 'node:net'
import { type Message, readResponse, statusOf } from './http-message.ts'
import { RawConnection } from './raw-connection.ts'

/** A final response and the interim ones that came before it, as the visitor received them. */
export interface Answer {
  readonly interim: readonly Message[]
  readonly response: Message
}

export class HttpClient {
  readonly connection: RawConnection
  /** Where the next answer begins. */
  #at = 0

  private constructor(connection: RawConnection) {
    this.connection = connection
  }

  static async open(target: NetConnectOpts | number): Promise<HttpClient> {
    return new HttpClient(await RawConnection.open(target))
  }

  send(request: string | Buffer): void {
    this.connection.write(request)
  }

  /** The next message, which may be an interim one. `method`: of the request it answers. */
  async next(method = 'GET', withinMs?: number): Promise<Message> {
    const message = await this.connection.until(
      `the response to ${method}`,
      () => {
        const ended = this.connection.ending === 'ended'
        const read = readResponse(this.connection.bytes, this.#at, { method, ended })
        if (read === undefined && this.connection.ending !== 'open')
          throw new Error(
            `${this.connection.ending} before the response was whole: ${this.connection.text.slice(-400)}`,
          )
        return read
      },
      withinMs,
    )
    this.#at = message.end
    return message
  }

  /** The next final response, and the interim ones before it. */
  async answer(method = 'GET', withinMs?: number): Promise<Answer> {
    const interim: Message[] = []
    for (;;) {
      const message = await this.next(method, withinMs)
      if (statusOf(message) >= 200 || statusOf(message) === 101) return { interim, response: message }
      interim.push(message)
    }
  }

  /** Sends and waits for the (final) answer. The method is read off the request. */
  async ask(request: string | Buffer, withinMs?: number): Promise<Message> {
    this.send(request)
    const method = request.toString('latin1').split(' ', 1)[0]
    return (await this.answer(method, withinMs)).response
  }

  /** Bytes behind the last answer. */
  get rest(): Buffer {
    return this.connection.bytes.subarray(this.#at)
  }

  close(): void {
    this.connection.close()
  }
}

/** One request on a connection of its own. */
export async function askOnce(target: NetConnectOpts | number, request: string | Buffer): Promise<Message> {
  const client = await HttpClient.open(target)
  try {
    return await client.ask(request)
  } finally {
    client.close()
  }
}
