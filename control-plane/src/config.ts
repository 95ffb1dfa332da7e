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
  [ENV.grantSecretArn]: z.optional(z.string()),
  [ENV.grantSecret]: z.optional(z.string()),
})

/** Where a secret of the deployment is. */
export type SecretPlace = { readonly arn: string } | { readonly text: string }

export interface Config {
  tableName: string
  settings: Settings
  channelKeys: SecretPlace
  grantKeys: SecretPlace
}

/** @throws TunnelFault `config-invalid`, which names every variable that is missing or wrong. */
export function parseConfig(environment: Record<string, string | undefined>): Config {
  const parsed = environmentSchema.safeParse(environment)
  if (!parsed.success) throw new TunnelFault('config-invalid', describeIssues(parsed.error.issues))
  const values = parsed.data
  return {
    tableName: values[ENV.table],
    settings: {
      base: values[ENV.base],
      publicUrl: values[ENV.publicUrl],
      channelHost: values[ENV.channelHost],
      channelPort: Number(values[ENV.channelPort]),
      ipPolicy: values[ENV.ipPolicy],
    },
    channelKeys: placeOf(values, ENV.channelSecretArn, ENV.channelSecret),
    grantKeys: placeOf(values, ENV.grantSecretArn, ENV.grantSecret),
  }
}

function placeOf(values: Record<string, unknown>, arnName: string, textName: string): SecretPlace {
  const [arn, text] = [values[arnName], values[textName]]
  if (typeof arn === 'string' && text === undefined) return { arn }
  if (typeof text === 'string' && arn === undefined) return { text }
  throw new TunnelFault('config-invalid', `Either ${arnName} or ${textName}.`)
}
