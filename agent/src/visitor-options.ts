/** What a person says about visitors, as the rules that `hello` carries. Knows nothing of files, flags or channels. */
import { createHmac } from 'node:crypto'
import { hashCredentials, type VisitorRules, visitorRulesSchema } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { CREDENTIAL_BYTES, CREDENTIAL_SALT_BYTES } from '@postern/protocol/limits'
import type { Secret } from '@postern/protocol/ticket'
import type { Target } from './target.ts'

export interface FieldChanges {
  /** Name and value of each field that is put in, behind those that are there. */
  readonly add?: readonly (readonly [name: string, value: string])[] | undefined
  /** Names of fields that are taken out, before any is put in. */
  readonly remove?: readonly string[] | undefined
}

export interface VisitorOptions {
  /** `name:password`; a visitor must send one of them. The server gets salted hashes; the local server gets neither. */
  readonly basicAuth?: readonly string[] | undefined
  /** CORS preflights need no password, which browsers never send with them. */
  readonly basicAuthAllowPreflight?: boolean | undefined
  /** Paths that need no password: `/healthz`, or `/webhooks/*` for all below. A path that could be read as another one needs it all the same. */
  readonly basicAuthExcept?: readonly string[] | undefined
  /** Addresses and networks that may visit. An empty list lets nobody in; without it everybody may. */
  readonly allowCidr?: readonly string[] | undefined
  /** Addresses and networks that may not, whatever `allowCidr` says. */
  readonly denyCidr?: readonly string[] | undefined
  readonly requestHeaders?: FieldChanges | undefined
  readonly responseHeaders?: FieldChanges | undefined
  /**
   * What the local server gets as Host: `preserve` (the visitor's; so without this), `rewrite` (its own address), or a value. Where it was
   * changed, Location and cookie domains that name it lead visitors back to the tunnel.
   */
  readonly hostHeader?: string | undefined
  /** False: the local server gets no Via, for which some compress nothing. Default: true. */
  readonly via?: boolean | undefined
}

/** How each rule is called where people set it. */
const OPTION_OF: Readonly<Record<string, string>> = {
  basicAuth: 'basic-auth',
  allow: 'allow-cidr',
  deny: 'deny-cidr',
  requestHeaders: 'request-header',
  responseHeaders: 'response-header',
  host: 'host-header',
}

/**
 * @param salt of the hashes
 * @throws TunnelFault `usage-invalid`; its detail never holds a password
 */
export async function visitorRules(options: VisitorOptions, target: Target, salt: Buffer): Promise<VisitorRules> {
  const { allowCidr, denyCidr, requestHeaders, responseHeaders, hostHeader, via } = options
  const rules = {
    ...(await passwordRule(options, salt)),
    ...(allowCidr && { allow: allowCidr }),
    ...(denyCidr && { deny: denyCidr }),
    ...(requestHeaders && { requestHeaders: wire(requestHeaders) }),
    ...(responseHeaders && { responseHeaders: wire(responseHeaders) }),
    ...(via === false && { via }),
    ...(hostHeader !== undefined && hostHeader !== 'preserve' && { host: hostOf(hostHeader, target) }),
  }
  const judged = visitorRulesSchema.safeParse(rules)
  if (judged.success) return judged.data
  const [rule, ...place] = judged.error.issues[0]!.path.map(String)
  const where = [OPTION_OF[rule ?? ''] ?? rule, ...place].join(' ')
  throw new TunnelFault('usage-invalid', `${where}: ${judged.error.issues[0]!.message}.`)
}

const wire = ({ add, remove }: FieldChanges): FieldChanges => ({ ...(add && { add }), ...(remove && { remove }) })

const hostOf = (hostHeader: string, target: Target): string =>
  hostHeader === 'rewrite' ? new URL(target.label).host : hostHeader

/**
 * One salt for a token and a name: agents that share them (a pool, or an agent that was started again) send the same hashes for the same
 * passwords, so a visitor's sign-in holds at each of them.
 */
export const credentialSalt = (token: Secret, subdomain: string): Buffer =>
  createHmac('sha256', token.reveal())
    .update(`postern visitor salt v1 ${subdomain}`)
    .digest()
    .subarray(0, CREDENTIAL_SALT_BYTES)

async function passwordRule(options: VisitorOptions, salt: Buffer): Promise<Pick<VisitorRules, 'basicAuth'>> {
  const { basicAuth, basicAuthAllowPreflight, basicAuthExcept } = options
  if (basicAuth === undefined) {
    if (!basicAuthAllowPreflight && basicAuthExcept === undefined) return {}
    throw new TunnelFault('usage-invalid', 'An exemption from passwords needs one: add basic-auth or basic-auth-file.')
  }
  if (basicAuth.length === 0) throw new TunnelFault('usage-invalid', 'basic-auth: there is no name:password.')
  const hashes = await Promise.all(basicAuth.map((text) => hashCredentials(bytesOf(text), salt)))
  return {
    basicAuth: {
      salt: salt.toString('base64url'),
      hashes: hashes.map((hash) => hash.toString('base64url')),
      ...(basicAuthAllowPreflight && { allowPreflight: true }),
      ...(basicAuthExcept && { except: [...basicAuthExcept] }),
    },
  }
}

/** As browsers send them: UTF-8, in the composed form (RFC 7617 §2.1 names NFC). */
function bytesOf(text: string): Buffer {
  const bytes = Buffer.from(text.normalize('NFC'))
  const colon = bytes.indexOf(COLON)
  const bothThere = colon > 0 && colon < bytes.length - 1
  if (bothThere && bytes.length <= CREDENTIAL_BYTES && !bytes.some(isControl)) return bytes
  throw new TunnelFault(
    'usage-invalid',
    `basic-auth: expected name:password, without control characters and of at most ${CREDENTIAL_BYTES} bytes.`,
  )
}

const COLON = 0x3a
/** RFC 7617 §2 allows none of them. */
const isControl = (byte: number): boolean => byte < 0x20 || byte === 0x7f
