/** The rules of a tunnel for its visitors, as `hello` carries them: one schema, by which both ends judge. Knows nothing of how they are enforced. */
import * as z from 'zod/mini'
import { parseNetwork } from '../address/network.ts'
import { isAuthority } from '../http/authority.ts'
import { isFieldValue, mayAdd, mayChange } from '../http/header-changes.ts'
import { isPathPattern } from '../http/path-pattern.ts'
import { CREDENTIAL_HASH_BYTES, CREDENTIAL_SALT_BYTES, VISITOR_RULE_ITEMS } from '../limits.ts'

const list = <T extends z.ZodMiniType>(item: T) => z.array(item).check(z.maxLength(VISITOR_RULE_ITEMS))

const bytes = (length: number) => {
  const what = `${length} bytes in base64url`
  const spelled = (text: string): boolean => {
    const read = Buffer.from(text, 'base64url')
    return read.length === length && read.toString('base64url') === text
  }
  return z.string().check(z.refine(spelled, `expected ${what}`))
}

const network = z
  .string()
  .check(
    z.refine(
      (text) => parseNetwork(text) !== undefined,
      'expected an IP address, or a network whose bits behind the prefix are 0, such as 10.0.0.0/8',
    ),
  )

const pathPattern = z
  .string()
  .check(
    z.refine(
      isPathPattern,
      'expected a path such as /healthz, or /webhooks/* for all below, without dot segments, empty ones or a query',
    ),
  )

const OURS = 'this field belongs to the connection, the framing or the service, or is no field name'
const removedName = z.string().check(z.refine(mayChange, OURS))
const addedField = z.tuple([
  z.string().check(z.refine(mayAdd, OURS)),
  z.string().check(z.refine(isFieldValue, 'expected printable ASCII without white space at its ends')),
])
/** Removals come first, so a field that stands in both is replaced. */
const headerChanges = z.strictObject({ add: z.optional(list(addedField)), remove: z.optional(list(removedName)) })

/** An unknown rule refuses: a rule that is not enforced must not look accepted. */
export const visitorRulesSchema = z.strictObject({
  /** Names and passwords, see `hashCredentials`. Any of them lets a visitor in. */
  basicAuth: z.optional(
    z.strictObject({
      salt: bytes(CREDENTIAL_SALT_BYTES),
      hashes: list(bytes(CREDENTIAL_HASH_BYTES)).check(z.minLength(1)),
      /** Whether CORS preflights pass without one: browsers never send a password with them (Fetch §4.8). */
      allowPreflight: z.optional(z.boolean()),
      /** Paths that need none. */
      except: z.optional(list(pathPattern)),
    }),
  ),
  /** Who may come; absent: everybody, empty: nobody. */
  allow: z.optional(list(network)),
  /** Who may not, whatever `allow` says. */
  deny: z.optional(list(network)),
  requestHeaders: z.optional(headerChanges),
  responseHeaders: z.optional(headerChanges),
  /** False: the local server gets no Via of ours, because some compress nothing for requests that have one. */
  via: z.optional(z.literal(false)),
  /** What the local server gets as Host instead of the visitor's; where it names itself by that, it is mended back. */
  host: z.optional(z.string().check(z.refine(isAuthority, 'expected a host name or address, with or without a port'))),
})

export type VisitorRules = z.output<typeof visitorRulesSchema>
