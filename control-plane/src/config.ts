/** The settings of a deployed control plane, out of its environment. The only place that reads them. */
import { CONTROL_ENV, describeIssues } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import * as z from 'zod/mini'
import type { Settings } from './settings.ts'

const name = z.string().check(z.regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/), z.maxLength(253))

const environmentSchema = z.object({
  [CONTROL_ENV.table]: z.string().check(z.minLength(3)),
  [CONTROL_ENV.base]: name,
  [CONTROL_ENV.publicUrl]: z.string().check(z.regex(/^https?:\/\/\{subdomain\}\.[a-z0-9.-]+(:\d+)?$/)),
  [CONTROL_ENV.channelHost]: name,
  [CONTROL_ENV.channelPort]: z.string().check(
    z.regex(/^[1-9]\d{0,4}$/),
    z.refine((text) => Number(text) <= 65_535),
  ),
  [CONTROL_ENV.ipPolicy]: z._default(z.enum(['strict', 'observed', 'off']), 'observed'),
  [CONTROL_ENV.channelKeysArn]: z.optional(z.string()),
  [CONTROL_ENV.channelKeys]: z.optional(z.string()),
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
  const arn = values[CONTROL_ENV.channelKeysArn]
  const text = values[CONTROL_ENV.channelKeys]
  if ((arn === undefined) === (text === undefined)) {
    throw new TunnelFault('config-invalid', `Either ${CONTROL_ENV.channelKeysArn} or ${CONTROL_ENV.channelKeys}.`)
  }
  return {
    tableName: values[CONTROL_ENV.table],
    settings: {
      base: values[CONTROL_ENV.base],
      publicUrl: values[CONTROL_ENV.publicUrl],
      channelHost: values[CONTROL_ENV.channelHost],
      channelPort: Number(values[CONTROL_ENV.channelPort]),
      ipPolicy: values[CONTROL_ENV.ipPolicy],
    },
    channelKeys: arn === undefined ? { text: text ?? '' } : { arn },
  }
}
