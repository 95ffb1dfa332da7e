/** The part of a deployed service that differs between AWS and the local system: how nodes are replaced, and where their events are read. */

/** Why a check has no result here, in one sentence. */
export interface NotMeasurable {
  readonly reason: string
}

/** Milliseconds since 1970, on the clock of the computer that observed the event. */
export interface NodeEvent {
  readonly node: string
  readonly kind: 'deregistered' | 'sigterm' | 'stopped'
  readonly at: number
  /** The event happened later than this; equal to `at` where it was observed directly and not by polling. */
  readonly after: number
}

export interface Replacement {
  /** Ids of the nodes that were replaced. */
  readonly previous: readonly string[]
  /** Ids of the nodes that run now. */
  readonly current: readonly string[]
}

/** `HealthyHostCount` of the channel's target group while no node came or went. One value a minute. */
export interface HealthyHosts {
  /** How many nodes were running. */
  readonly nodes: number
  /** The metric without a zone. */
  readonly all: readonly number[]
  readonly zones: readonly { readonly zone: string; readonly values: readonly number[] }[]
}

export interface Deployment {
  /** For the report: `AWS, eu-central-1, service …`. */
  readonly title: string
  /** Where visitors connect; undefined: wherever the host name of a tunnel leads. */
  readonly visitors: { readonly address: string; readonly port: number } | undefined
  /** Whether the balancer's health checks are known to begin with a PROXY header. */
  readonly checksHaveHeader: boolean
  healthyHosts(signal: AbortSignal): Promise<HealthyHosts | NotMeasurable>
  /** Replaces every node, and returns when the service is stable. @throws Error if the deployment fails */
  replaceNodes(signal: AbortSignal): Promise<Replacement>
  /** Events of these nodes since the replacement began, in no order. */
  events(nodes: readonly string[], signal: AbortSignal): Promise<readonly NodeEvent[]>
  /** The node whose log has a request of this id. Undefined: none has it. */
  nodeOf(requestId: string, signal: AbortSignal): Promise<string | undefined>
  stop(): Promise<void>
}
