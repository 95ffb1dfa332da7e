/** The settings of a deployed control plane, out of its environment. The only place that reads them. */
import { describeIssues } from '@postern/protocol/api'
import { ENV } from '@postern/protocol/environment'
import { TunnelFault } from '@postern/protocol/fault'
import * as z from 'zod/mini'
import type { Settings } from './settings.ts'

const name = z.string().check(z.regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/), z.maxLength(253))

const environmentSchema = z.object({
  [ENV.table]: z.string().check(z.minLength(3)),
  [ENV.base]: name,
  [ENV.publicUrl]: z.string().check(z.regex(/^https?:\/\/\{subdomain\}\.[a-z0-9.-]+(:\d+)?$/)),
  [ENV.channelHost]: name,
  [ENV.channelPort]: z.string().check(
    z.regex(/^[1-9]\d{0,4}$/),
    z.refine((text) => Number(text) <= 65_535),
  ),
  [ENV.ipPolicy]: z._default(z.enum(['strict', 'observed', 'off']), 'observed'),
  [ENV.channelSecretArn]: z.optional(z.string()),
  [ENV.channelSecret]: z.optional(z.string()),
})

export interface Config {
  tableName: string
  settings: Settings
  /** Where the deployment's channel keys are. */
  channelKeys: { arn: string } | { text: string }
}

/** @throws TunnelFault `config-invalid`, which names every variable that is missing or wrong. */
export function parseConfig(environment: Record<string, string | undefined>): Config {
  const parsed = environmentSchema.safeParse(environment)
  if (!parsed.success) throw new TunnelFault('config-invalid', describeIssues(parsed.error.issues))
  const values = parsed.data
  const arn = values[ENV.channelSecretArn]
  const text = values[ENV.channelSecret]
  if ((arn === undefined) === (text === undefined)) {
    throw new TunnelFault('config-invalid', `Either ${ENV.channelSecretArn} or ${ENV.channelSecret}.`)
  }
  return {
    tableName: values[ENV.table],
    settings: {
      base: values[ENV.base],
      publicUrl: values[ENV.publicUrl],
      channelHost: values[ENV.channelHost],
      channelPort: Number(values[ENV.channelPort]),
      ipPolicy: values[ENV.ipPolicy],
    },
    channelKeys: arn === undefined ? { text: text ?? '' } : { arn },
  }
}
