/** The channel's door: its opening at both ends, the open channel, the control stream, the PROXY header. */
export type { ChannelEvents, ChannelOptions, ChannelState } from './channel.ts'
export { Channel } from './channel.ts'
export type {
  AgentMessage,
  Hello,
  MessageSchemas,
  NoticeKind,
  Refused,
  ServerMessage,
  StreamFaultMessage,
  UpstreamProtocol,
  Welcome,
} from './control-messages.ts'
export { NOTICE_KINDS, refusedBy, UPSTREAM_PROTOCOLS } from './control-messages.ts'
export type { ControlStreamOptions } from './control-stream.ts'
export { agentControlStream, ControlStream, serverControlStream } from './control-stream.ts'
export { hashCredentials } from './credential-hash.ts'
export { Heartbeat, type HeartbeatOptions } from './heartbeat.ts'
export { acceptHop, type HopPeer, hopBinding, openHop } from './hop-opening.ts'
export { IpNotAllowedFault } from './ip-not-allowed.ts'
export type {
  AcceptedOpening,
  AcceptOptions,
  OpenableTicket,
  OpenedChannel,
  OpeningHost,
  OpenOptions,
} from './opening.ts'
export { acceptOpening, openChannel } from './opening.ts'
export { OpeningCeilings } from './opening-ceilings.ts'
export type { ProxiedStart, ProxyHeader, ProxyPolicy, ProxySource } from './proxy-header.ts'
export { parseProxyHeader, readProxyHeader } from './proxy-header.ts'
export { RateBucket } from './rate-bucket.ts'
export { needsReplacement, replacementAge } from './replacement.ts'
export { type VisitorRules, visitorRulesSchema } from './visitor-rules.ts'
