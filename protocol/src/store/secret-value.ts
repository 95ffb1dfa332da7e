/** The text of a secret in Secrets Manager. Knows nothing of what it is for. */
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { TunnelFault } from '../fault.ts'
import { STORE_CONNECT_TIMEOUT_MS, STORE_REQUEST_TIMEOUT_MS } from '../limits.ts'

/**
 * Reads the current version of the secret that `arn` names.
 * @throws TunnelFault `config-invalid` if there is no such secret, or it may not be read.
 */
export async function readSecret(arn: string): Promise<string> {
  const client = new SecretsManagerClient({
    maxAttempts: 3,
    requestHandler: {
      connectionTimeout: STORE_CONNECT_TIMEOUT_MS,
      requestTimeout: STORE_REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    },
  })
  try {
    const { SecretString: text } = await client.send(new GetSecretValueCommand({ SecretId: arn }))
    if (text === undefined) throw new TunnelFault('config-invalid', `The secret ${arn} has no text.`)
    return text
  } catch (cause) {
    if (cause instanceof TunnelFault) throw cause
    const name = cause instanceof Error ? cause.name : 'error'
    throw new TunnelFault('config-invalid', `The secret ${arn} cannot be read: ${name}.`, { cause })
  } finally {
    client.destroy()
  }
}
