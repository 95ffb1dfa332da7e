/** An account of its own for one run, with its tokens and tunnels. */
import { randomBytes } from 'node:crypto'
import type { ApiClient } from '@postern/protocol/client'
import { toFault } from '@postern/protocol/fault'
import { Secret } from '@postern/protocol/ticket'
import { connect, type Tunnel } from '../../agent/src/connect.ts'

export interface AccountOptions {
  /** With the token of an administrator. */
  readonly api: ApiClient
  /** Where agents ask for tickets. */
  readonly server: string
  /** Port of the local server. */
  readonly target: number
}

interface OpenTunnel {
  readonly tunnel: Tunnel
  /** Of the tunnel's token. */
  readonly tokenId: string
}

/** A run that is killed leaves the account; its tokens end by themselves. */
const TOKEN_DAYS = 1
const MOST_NAMES = 4

export class Account {
  readonly username: string
  readonly #options: AccountOptions
  readonly #tunnels: Tunnel[] = []

  private constructor(options: AccountOptions, username: string) {
    this.#options = options
    this.username = username
  }

  /** A name at random; nothing is made yet. */
  static named(options: AccountOptions): Account {
    return new Account(options, `accept-${randomBytes(6).toString('hex')}`)
  }

  async create(signal: AbortSignal): Promise<void> {
    const { username } = this
    const limits = { maxSubdomains: MOST_NAMES, maxTunnels: MOST_NAMES }
    await this.#options.api.call('createUser', { body: { username, subdomains: [`${username}-*`], ...limits } }, signal)
  }

  /** Opens a tunnel with a token of its own. @param suffix of its name */
  async open(suffix: string, signal: AbortSignal): Promise<OpenTunnel> {
    const { api, server, target } = this.#options
    const { username } = this
    const subdomain = `${username}-${suffix}`
    const body = { username, label: 'acceptance run', subdomains: [subdomain], expiresInDays: TOKEN_DAYS }
    const { id, token } = await api.call('createToken', { body }, signal)
    const tunnel = await connect({ target, server, token: new Secret(token), subdomain, signal })
    this.#tunnels.push(tunnel)
    return { tunnel, tokenId: id }
  }

  revoke(tokenId: string, signal: AbortSignal): Promise<undefined> {
    return this.#options.api.call('revokeToken', { params: { id: tokenId } }, signal)
  }

  /** Closes the tunnels and deletes the account with its tokens and names. Harmless when repeated. */
  async remove(): Promise<void> {
    await Promise.all(this.#tunnels.splice(0).map((tunnel) => tunnel.close({ drainMs: 0 })))
    try {
      await this.#options.api.call('deleteUser', { params: { username: this.username } })
    } catch (error) {
      if (toFault(error).code !== 'not-found') throw error
    }
  }
}
