/** What must not be seen of a deployment's secret: its keys, and what is derived from them. */
import { type KeyPurpose, parseDeploymentKeys } from '@postern/protocol/ticket'
import type { Canaries } from './canaries.ts'

const PURPOSES = ['seal', 'observation', 'hop', 'workerId', 'grant'] as const satisfies readonly KeyPurpose[]

export function addDeploymentSecret(canaries: Canaries, secret: string): void {
  const { current, accepted } = JSON.parse(secret) as { current: string; accepted: string[] }
  for (const key of [current, ...accepted]) canaries.add('a key of the deployment', key)
  const keys = parseDeploymentKeys(secret)
  for (const key of [keys.current, ...keys.accepted]) {
    for (const purpose of PURPOSES)
      canaries.add(`the ${purpose} key of the deployment`, Buffer.from(key.subkey(purpose)).toString('hex'))
  }
}
