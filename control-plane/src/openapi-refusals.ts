/** What each operation may be refused with, for its description. Knows nothing of schemas. */
import { OPERATIONS, type Operation } from '@postern/protocol/api'
import { FAULTS, type FaultCode } from '@postern/protocol/fault'

const OF_TOKENS: readonly FaultCode[] = [
  ...(['token-missing', 'token-malformed', 'token-unknown', 'token-expired', 'token-revoked'] as const),
  ...(['too-many-failures', 'user-disabled', 'store-unavailable'] as const),
]
const OF_BODIES: readonly FaultCode[] = ['content-type-unsupported', 'body-too-large']
/** Of addresses rather than operations. */
const OF_ADDRESSES: readonly FaultCode[] = ['not-found', 'method-not-allowed']

function codesOf({ who, body, faults }: Operation): FaultCode[] {
  return [
    ...(['request-malformed', 'internal-error'] as const),
    ...(who === 'anyone' ? [] : OF_TOKENS),
    // An owner is told so who asks about somebody else.
    ...(who === 'anyone' || who === 'token' ? [] : (['scope-missing'] as const)),
    ...(body === undefined ? [] : OF_BODIES),
    ...faults,
  ]
}

/** The codes an operation may be refused with, by the status of their answers. */
export function codesByStatus(operation: Operation): Record<number, FaultCode[]> {
  const byStatus: Record<number, FaultCode[]> = {}
  for (const code of new Set(codesOf(operation))) {
    const { status } = FAULTS[code]
    byStatus[status] = [...(byStatus[status] ?? []), code]
  }
  return byStatus
}

/** The closed list: whatever the API refuses, it refuses with one of these. */
export const everyCode = (): FaultCode[] => [
  ...new Set([...OF_ADDRESSES, ...Object.values<Operation>(OPERATIONS).flatMap(codesOf)]),
]

export const describeCodes = (codes: readonly FaultCode[]): string =>
  codes.map((code) => `\`${code}\`: ${FAULTS[code].title}`).join('\n\n')

/** The header fields of answers, as components of the document. */
export const HEADERS = {
  'x-request-id': {
    description: 'Names this request in the log of the service.',
    schema: { type: 'string' },
  },
  'www-authenticate': { description: 'How to authenticate (RFC 6750).', schema: { type: 'string' } },
  'retry-after': { description: 'Seconds to wait.', schema: { type: 'integer', minimum: 1 } },
} as const

const header = (name: keyof typeof HEADERS) => ({ [name]: { $ref: `#/components/headers/${name}` } })

/** The header fields that an answer of that status has. */
export const answerHeaders = (status: number) => ({
  ...header('x-request-id'),
  ...(status === 401 && header('www-authenticate')),
  ...((status === 429 || status === 503) && header('retry-after')),
})
