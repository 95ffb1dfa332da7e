/** What is deployed: the context of the command line (`-c key=value`) and of cdk.json, parsed once. Knows nothing of resources. */
import { parseSubdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { FUNCTION_CONCURRENCY } from '@postern/protocol/limits'
import * as z from 'zod'

/** What Fargate sells (docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html), up to one vCPU: a task is one thread. */
const MEMORY_OF: Readonly<Record<number, readonly number[]>> = {
  256: [512, 1024, 2048],
  512: [1024, 2048, 3072, 4096],
  1024: [2048, 3072, 4096, 5120, 6144, 7168, 8192],
}
/** The other listeners of the balancer. */
const PUBLIC_PORTS: readonly number[] = [80, 443]
/** About 150 tasks are what one balancer's quotas hold. */
const MOST_TASKS = 150

/** The command line gives text, cdk.json gives JSON. */
const integer = (least: number, most: number) =>
  z
    .union([z.int(), z.string().regex(/^\d+$/).transform(Number)], { error: 'expected a whole number' })
    .refine((n) => n >= least && n <= most, `expected a number from ${least} to ${most}`)
const flag = z
  .union([z.boolean(), z.enum(['true', 'false'])], { error: 'expected true or false' })
  .transform((value) => value === true || value === 'true')

/** ACM's quota is ten names in a certificate; two are those of the domain itself. */
const MOST_NESTED_NAMES = 8

/** `demo,shop` on the command line. */
const nestedNames = z
  .union([z.array(z.string()), z.string().transform((text) => text.split(',').map((name) => name.trim()))])
  .refine((names) => names.length <= MOST_NESTED_NAMES, `expected at most ${MOST_NESTED_NAMES} names`)
  .refine((names) => names.every(isTunnelName), 'expected names of tunnels, like demo,shop')

const LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
const domainName = z
  .string()
  .max(253 - 64, 'is too long: a tunnel needs up to 64 characters before it')
  .regex(
    new RegExp(`^(${LABEL}\\.)+[a-z][a-z0-9-]*[a-z0-9]$`),
    'expected a domain in lower case, like tunnel.example.com',
  )

const contextSchema = z
  .strictObject({
    domain: domainName.optional(),
    zoneId: z
      .string()
      .regex(/^Z[A-Z0-9]{1,31}$/, 'expected the id of a hosted zone, like Z0123456789ABCDEFGHIJ')
      .optional(),
    dataPlaneImage: z
      .string()
      .regex(
        /^[a-z0-9][a-z0-9.-]*(:\d+)?\/[a-z0-9][a-z0-9._/-]*(:[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})$/,
        'expected registry/repository with a tag or a digest, like 123456789012.dkr.ecr.eu-central-1.amazonaws.com/postern:1.2.3',
      )
      .optional(),
    channelPort: integer(1, 65_535)
      .refine((port) => !PUBLIC_PORTS.includes(port), `is a port of the visitors (${PUBLIC_PORTS.join(', ')})`)
      .default(7000),
    taskCpu: integer(256, 1024)
      .refine((cpu) => cpu in MEMORY_OF, `expected one of ${Object.keys(MEMORY_OF).join(', ')}`)
      .default(256),
    taskMemory: integer(512, 8192).default(512),
    // Two, so that one may be replaced, or be lost with its zone.
    taskCount: integer(1, MOST_TASKS).default(2),
    mostTasks: integer(1, MOST_TASKS).default(10),
    // Lambda leaves 100 of the account's executions to no function in particular; an account that is new may have 10 in all.
    functionConcurrency: z.union([z.literal('none'), integer(10, 10_000)]).default(FUNCTION_CONCURRENCY),
    architecture: z.enum(['arm64', 'x86_64']).default('arm64'),
    ipPolicy: z.enum(['strict', 'observed', 'off']).default('observed'),
    // CloudWatch asks money for each line, and who visited whom is nobody's business who does not need it.
    accessLog: z.enum(['on', 'with-query', 'off']).default('off'),
    alarmEmail: z.email('expected a mail address').optional(),
    canaryToken: z
      .string()
      .regex(/^[\w/+=.@-]{1,512}$/, 'expected the name of a secret in Secrets Manager, like postern/canary')
      .optional(),
    dualStack: flag.default(false),
    nestedNames: nestedNames.default([]),
  })
  .superRefine((context, { addIssue }) => {
    const say = (key: string, message: string) => addIssue({ code: 'custom', path: [key], message })
    if ((context.domain === undefined) !== (context.zoneId === undefined)) {
      say(context.domain === undefined ? 'domain' : 'zoneId', 'domain and zoneId go together: give both, or none')
    }
    const memories = MEMORY_OF[context.taskCpu]
    if (memories !== undefined && !memories.includes(context.taskMemory)) {
      say('taskMemory', `with taskCpu ${context.taskCpu} expected one of ${memories.join(', ')}`)
    }
    if (context.nestedNames.length > 0 && context.domain === undefined) say('nestedNames', 'needs a domain')
    if (context.mostTasks < context.taskCount) say('mostTasks', `is less than taskCount ${context.taskCount}`)
    // A name of sslip.io holds one IPv4 address: agents would reach the API by IPv6 and the channel by IPv4.
    if (context.dualStack && context.domain === undefined) say('dualStack', 'needs a domain')
  })
  .transform(({ domain, zoneId, ...rest }) => ({
    ...rest,
    domain: domain === undefined || zoneId === undefined ? undefined : { name: domain, zoneId },
  }))

/**
 * `domain`: where it is absent, the balancer's fixed addresses give the base name. `taskCpu` in 1/1024 vCPU, `taskMemory` in MiB.
 * `functionConcurrency`: executions reserved for the control plane; `none` reserves none.
 * `canaryToken`: the name of the secret that holds the canary's token; no canary without it.
 * `nestedNames`: tunnels that have hosts below their names, each with a wildcard in the certificate.
 * `dualStack`: API, domain and balancer take IPv6 too; all three or none, or honest agents would come from two addresses.
 */
export type Config = z.output<typeof contextSchema>

function isTunnelName(text: string): boolean {
  try {
    return parseSubdomain(text) === text
  } catch {
    // Which of the rules it breaks is plain to see.
    return false
  }
}

/** What the CDK itself and the command line keep in the same bag. */
const FOREIGN_KEY = /[:@/]|^cli-telemetry$/

/** @throws TunnelFault `config-invalid`, which names every key that is wrong or unknown. */
export function parseConfig(context: Readonly<Record<string, unknown>>): Config {
  const ours = Object.fromEntries(Object.entries(context).filter(([key]) => !FOREIGN_KEY.test(key)))
  const parsed = contextSchema.safeParse(ours)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(({ path, message }) => `  ${path.join('.') || 'context'}: ${message}`)
  throw new TunnelFault(
    'config-invalid',
    `The context (-c key=value, or cdk.json) is not valid:\n${problems.join('\n')}\n`,
  )
}
