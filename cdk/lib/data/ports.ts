/** The ports of a task. Knows nothing of what the balancer maps onto them. */

export const TASK_PORT = {
  /** Visitors, by HTTP/1.1 in clear: the balancer has ended TLS. */
  public: 8080,
  /** Visitors that came by http: sent to https. */
  redirect: 8081,
  channel: 7000,
  /** From task to task. */
  hop: 7100,
  /** Health. */
  ops: 9000,
} as const
