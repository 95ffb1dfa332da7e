/** The ports of a task. */

export const TASK_PORT = {
  /** Visitors, by HTTP/1.1 or HTTP/2 in clear: the balancer has ended TLS. */
  public: 8080,
  /** Visitors that came by http: sent to https. */
  redirect: 8081,
  channel: 7000,
  /** From one task to another. */
  hop: 7100,
  /** Health. */
  ops: 9000,
} as const
