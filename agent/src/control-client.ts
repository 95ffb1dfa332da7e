/** The two calls of the control API that an agent makes. Knows nothing of channels, retries or terminals. */
import type { Account, TicketRequest } from '@postern/protocol/api'
import { ApiClient } from '@postern/protocol/client'
import type { ChannelTicket, Secret } from '@postern/protocol/ticket'

export interface ControlClientOptions {
  /** Origin, as `parseServer` gives it. */
  readonly server: string
  readonly token: Secret
  /** For the User-Agent field. */
  readonly version: string
}

export class ControlClient {
  readonly #api: ApiClient

  constructor({ server, token, version }: ControlClientOptions) {
    this.#api = new ApiClient({ server, token, program: `tunnel-agent/${version}` })
  }

  /**
   * `GET /v1/me`: whose token this is.
   * @throws TunnelFault what the server said, or `server-unreachable`; `signal.reason` when aborted
   */
  account(signal: AbortSignal): Promise<Account> {
    return this.#api.call('getMe', {}, signal)
  }

  /**
   * `POST /v1/tickets`: step 1 of the protocol.
   * @throws TunnelFault what the server said, or `server-unreachable`; `signal.reason` when aborted
   */
  ticket(request: TicketRequest, signal: AbortSignal): Promise<ChannelTicket> {
    return this.#api.call('issueTicket', { body: request }, signal)
  }
}
