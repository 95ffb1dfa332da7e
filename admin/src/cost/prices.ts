/** What AWS asks, by the list of one region. Knows nothing of how much of anything is used. */

/**
 * Nobody has looked these up for you: they are what was known of the public price lists of us-east-1 in the month `KNOWN`,
 * without free allowances, discounts and taxes. Other regions are up to a third dearer.
 */
export const REGION = 'us-east-1'
const KNOWN = '2025-06'

export interface Price {
  readonly usd: number
  /** What that buys. */
  readonly per: string
  /** Where AWS says it: aws.amazon.com/<page>/pricing */
  readonly page: string
  /** The month of this knowledge. Whoever looks one up writes the month beside it. */
  readonly known: string
}

const price = (usd: number, per: string, page: string, known = KNOWN): Price => ({ usd, per, page, known })

const MILLION = 1_000_000
const [BALANCER, FARGATE, VPC, TABLE] = ['elasticloadbalancing', 'fargate', 'vpc', 'dynamodb']
const [LAMBDA, API, WATCH, EC2] = ['lambda', 'api-gateway', 'cloudwatch', 'ec2/on-demand']

export const PRICES = {
  balancer: price(0.0225, 'hour', BALANCER),
  capacityUnit: price(0.006, 'NLCU-hour', BALANCER),
  arm64Cpu: price(0.03238, 'vCPU-hour', FARGATE),
  arm64Memory: price(0.00356, 'GB-hour', FARGATE),
  x86Cpu: price(0.04048, 'vCPU-hour', FARGATE),
  x86Memory: price(0.004445, 'GB-hour', FARGATE),
  address: price(0.005, 'public IPv4 address and hour', VPC),
  tableWrite: price(0.625 / MILLION, 'write request unit, on demand', TABLE),
  tableRead: price(0.125 / MILLION, 'read request unit, on demand', TABLE),
  tableStorage: price(0.25, 'GB-month', TABLE),
  tableBackup: price(0.2, 'GB-month of point-in-time recovery', TABLE),
  lambdaCall: price(0.2 / MILLION, 'request', LAMBDA),
  lambdaMemory: price(0.0000133334, 'GB-second, arm64', LAMBDA),
  apiCall: price(1 / MILLION, 'request to an HTTP API', API),
  logs: price(0.5, 'GB taken in', WATCH),
  logStorage: price(0.03, 'GB-month', WATCH),
  metric: price(0.3, 'custom metric and month', WATCH),
  alarm: price(0.1, 'metric of an alarm and month', WATCH),
  dashboard: price(3, 'dashboard and month', WATCH),
  zoneCrossing: price(0.02, 'GB between zones, both ends together', EC2),
  secret: price(0.4, 'secret and month', 'secrets-manager'),
  hostedZone: price(0.5, 'hosted zone and month', 'route53'),
} as const satisfies Record<string, Price>

/** Out to the internet, for each GB up to that many in a month. */
export const TRANSFER_OUT: readonly (Price & { readonly upToGb: number })[] = [
  { upToGb: 10_240, ...price(0.09, 'GB out, the first 10 TB of a month', EC2) },
  { upToGb: 51_200, ...price(0.085, 'GB out, the next 40 TB', EC2) },
  { upToGb: 153_600, ...price(0.07, 'GB out, the next 100 TB', EC2) },
  { upToGb: Number.POSITIVE_INFINITY, ...price(0.05, 'GB out, beyond 150 TB', EC2) },
]

/** @returns USD for `gb` that leave for the internet in one month */
export function transferOut(gb: number): number {
  let usd = 0
  let below = 0
  for (const tier of TRANSFER_OUT) {
    usd += Math.max(0, Math.min(gb, tier.upToGb) - below) * tier.usd
    below = tier.upToGb
  }
  return usd
}

/** Listeners are billed by whichever of these they use most of (elasticloadbalancing pricing). */
export const CAPACITY_UNIT = {
  tls: { newPerSecond: 50, active: 3000, gbPerHour: 1 },
  tcp: { newPerSecond: 800, active: 100_000, gbPerHour: 1 },
} as const

/** What the last line of every answer says of all this. */
export const CAVEAT = `Prices: check them. They are ${REGION} list prices as known in ${KNOWN}, not looked up; no free allowance, no tax. docs/cost.md has each with its page.`
