/** The refusal because of the address, with what the next ticket needs. Knows nothing of how it travels. */
import { TunnelFault } from '../fault.ts'

export class IpNotAllowedFault extends TunnelFault {
  /** The address that the channel server saw. */
  readonly seenIp: string
  /** Signed by the channel server; opaque to the agent, who hands it to the control plane. */
  readonly observation: string

  constructor(seenIp: string, observation: string) {
    super('ip-not-allowed', `It saw ${seenIp}.`)
    this.seenIp = seenIp
    this.observation = observation
  }
}
