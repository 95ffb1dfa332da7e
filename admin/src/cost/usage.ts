/** What one tunnel, one opening and one task use of AWS. Knows nothing of prices, or of how many there are. */

/** Availability zones of the network, and so addresses of the balancer (cdk/lib/zones.ts). */
export const ZONES = 2

/** A channel is replaced when it is a day old; the rest is lids that are closed and networks that are changed. */
export const OPENINGS_PER_TUNNEL_DAY = 4

/** Calls to the table for one opening, each of one unit: no item is above 1 KB to write or 4 KB to read. */
export const OPENING = {
  /** Token, account, name and ticket, each read strongly consistent. */
  ticketReads: 4,
  /** The ticket is put and deleted; the token's day of use is noted, at most once a day. */
  ticketWrites: 3,
  /** A random name is held for a day more, and listed so; a lasting one is not written again. */
  nameWrites: 2,
  /** The name is claimed and the tunnel listed; in the end both are undone. */
  routeWrites: 4,
  /** Who has the name is read before it is claimed. */
  routeReads: 1,
  auditWrites: 1,
} as const

/** A strongly consistent Query that finds nothing is billed as the least there is (the embedded table says 0). */
export const READS_PER_POLL = 1

/** Bytes of one task in the list of tasks, which is read eventually consistent: half a unit for each 4 KB. */
export const TASK_BYTES = 300
export const readsPerTaskPoll = (tasks: number): number => Math.ceil((tasks * TASK_BYTES) / 4096) / 2

/** Of the Lambda: 512 MB for the time of a warm call; starts are rare. Not measured on AWS. */
export const CALL_GB_SECONDS = 0.5 * 0.1
/** Access log, the function's lines and metrics, Lambda's own three, and the task's two. */
export const LOG_BYTES_PER_OPENING = 2500
/** One document of metrics a minute; a request that goes well writes no line. */
export const LOG_BYTES_PER_TASK_HOUR = 60 * 600
/** A month (cdk: RetentionDays.ONE_MONTH). */
export const LOG_MONTHS_KEPT = 1

/** Bytes of one tunnel in the table: its name, account, token, route and rows in the lists. */
export const BYTES_PER_TUNNEL = 5000
/** Ticket of an hour that TTL deletes up to two days late, and one row of the audit. */
export const TICKET_BYTES = 1000
export const TICKET_DAYS = 2
export const AUDIT_BYTES = 400

/** Tunnels of the tasks. */
export const STANDING_METRICS = 1
/**
 * Of the control plane: tickets, time and calls of an operation by class of status, refusals by code. Of the tasks: requests, held and
 * retried ones, openings and their time, bytes, streams, hops, lookups, faults and refusals by code. Billed by the hour in which they come.
 */
export const CALL_METRICS = 23
/** Metrics that the alarms look at (two alarms have three each, one has two; two are of deployments), and the four alarms that the two rules of scaling make for themselves. */
export const ALARM_METRICS = 31 + 4

/**
 * What leaves for each agent with every heartbeat: our ping and our answer to the agent's (a frame of 12 bytes is 34 as a TLS record), and an
 * acknowledgement, each with 52 bytes of TCP and IPv4.
 */
export const HEARTBEAT_BYTES_OUT = 2 * (34 + 52) + 52

/** A page's requests share the connections of a browser; a webhook's do not. */
export const REQUESTS_PER_CONNECTION = 5

/**
 * A response comes in from the agent through the balancer and goes out to the visitor through it: two passes, and in each of them the
 * balancer's node and the task are in different zones as often as not.
 */
export const BALANCER_PASSES = 2
export const CROSSING_SHARE = (ZONES - 1) / ZONES

/** The sealing keys, the hop's and the grants'. */
export const SECRETS = 3

/** What `-c canaryToken` adds. Each knock is an opening too, with its call, its writes and the metrics of an hour in which something happens. */
export const CANARY = {
  knocksPerMinute: 1,
  /** 256 MB for half a second, most of it waiting. Not measured on AWS. */
  gbSeconds: 0.25 * 0.5,
  /** A line of metrics, and Lambda's own three. */
  logBytes: 800,
  /** Answered, and after how long. */
  metrics: 2,
  /** One rings, one is for deployments. */
  alarms: 1,
  /** The token's. */
  secrets: 1,
} as const
