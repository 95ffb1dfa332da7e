/** What the SDK of AWS complains of, as one sentence about what to do. Knows nothing of what was asked of the table. */
import { TunnelFault } from '@postern/protocol/fault'

export interface Place {
  readonly tableName: string
  /** Of the embedded table of a local system; without it, where the SDK looks by itself. */
  readonly endpoint?: string
}

/** `error` itself, unless it is a fault of the table. */
export function tableFault(error: unknown, { tableName, endpoint }: Place): unknown {
  if (!(error instanceof TunnelFault) || error.code !== 'store-unavailable') return error
  const { cause } = error
  if (endpoint !== undefined && !isAnswer(cause))
    return new TunnelFault(
      'store-unavailable',
      `No table answers at ${endpoint}: is the local system running (npm start)?`,
      { cause },
    )
  const detail = sentenceOf(cause, tableName)
  if (detail !== undefined) return new TunnelFault('config-invalid', detail, { cause })
  return new TunnelFault('store-unavailable', `${tableName}: ${wordsOf(cause)}.`, { cause })
}

/** Of a name with several addresses, Node reports one error for each and an empty message for all: the first one speaks. */
function wordsOf(cause: unknown): string {
  const first = cause instanceof AggregateError ? cause.errors[0] : cause
  return first instanceof Error ? `${first.name}: ${first.message}` : String(first)
}

function sentenceOf(cause: unknown, tableName: string): string | undefined {
  if (!(cause instanceof Error)) return undefined
  const { name, message } = cause
  if (/region/i.test(message) && /missing|not accepted/i.test(message))
    return 'AWS needs a region: set AWS_REGION, or the region of the profile in AWS_PROFILE.'
  switch (name) {
    case 'CredentialsProviderError':
    case 'TokenProviderError':
      return 'There are no AWS credentials: sign in (aws sso login), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.'
    case 'ExpiredToken':
    case 'ExpiredTokenException':
      return 'The AWS credentials have expired: sign in again.'
    case 'UnrecognizedClientException':
    case 'InvalidClientTokenId':
    case 'InvalidSignatureException':
    case 'IncompleteSignatureException':
    case 'MissingAuthenticationTokenException':
      return 'AWS does not know these credentials: check AWS_PROFILE, or the access key and its secret.'
    case 'AccessDeniedException':
    case 'AccessDenied':
      return `These AWS credentials may not use the table ${tableName}: it takes dynamodb:GetItem, PutItem and UpdateItem on it.`
    case 'ResourceNotFoundException':
      return `There is no table ${tableName} in this account and region: check --table, AWS_REGION and AWS_PROFILE.`
    default:
      return undefined
  }
}

/** Whether something answered, if only to refuse. */
const isAnswer = (cause: unknown): boolean => cause instanceof Error && '$fault' in cause
