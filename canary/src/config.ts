/** The canary's settings, from the environment. */
import { ENV } from '@postern/protocol/environment'
import { TunnelFault } from '@postern/protocol/fault'
import * as z from 'zod'

const schema = z.object({ [ENV.canaryServer]: z.string().min(1), [ENV.canarySecretArn]: z.string().min(1) })

export interface CanaryConfig {
  /** As an agent is given it. */
  readonly server: string
  /** Of the secret that holds the token. */
  readonly secretArn: string
}

/** @throws TunnelFault `config-invalid` */
export function parseConfig(environment: NodeJS.ProcessEnv): CanaryConfig {
  const parsed = schema.safeParse(environment)
  if (parsed.success) return { server: parsed.data[ENV.canaryServer], secretArn: parsed.data[ENV.canarySecretArn] }
  const names = parsed.error.issues.map(({ path }) => path.join('.'))
  throw new TunnelFault('config-invalid', `These variables are missing: ${names.join(', ')}.`)
}
