/** Every way a thing can fail, as one closed table: code, who may try again, what each audience is told. */
import { FAULT_DETAIL_CHARACTERS } from './limits.ts'

export interface FaultEntry {
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean
  /** Status of the problem document (RFC 9457) or of the visitor's answer. */
  readonly status: number
  /** Exit code of the command line when this is what ended it. */
  readonly exit: 1 | 2 | 3 | 4 | 5
  /** One sentence, for a person. */
  readonly title: string
  /** What that person can do about it. */
  readonly advice: string
}

const entry = (
  retryable: boolean,
  status: number,
  exit: FaultEntry['exit'],
  title: string,
  advice: string,
): FaultEntry => ({ retryable, status, exit, title, advice })

const RETRY_LATER = 'Try again in a few seconds; the agent does so by itself.'
const REPORT = 'This is a defect of one end of the channel: report it with the versions of both ends.'

export const FAULTS = {
  // control plane: the call itself
  'request-malformed': entry(
    false,
    400,
    2,
    'The request could not be read.',
    'The detail names the field and what was expected.',
  ),
  'content-type-unsupported': entry(false, 415, 2, 'The body is not JSON.', 'Send content-type: application/json.'),
  'body-too-large': entry(
    false,
    413,
    2,
    'The body is larger than this call takes.',
    'Send at most the size that the detail names.',
  ),
  'not-found': entry(false, 404, 2, 'There is nothing at this address.', 'Check the path and the id.'),
  'method-not-allowed': entry(
    false,
    405,
    2,
    'This address does not answer that method.',
    'The Allow header lists the methods.',
  ),
  'store-unavailable': entry(true, 503, 5, 'The table cannot be reached just now.', RETRY_LATER),
  'internal-error': entry(
    false,
    500,
    1,
    'Something went wrong inside the service.',
    'Look up the request id in the log of the service.',
  ),

  // control plane: who is asking
  'token-missing': entry(
    false,
    401,
    3,
    'No token was sent.',
    'Send Authorization: Bearer with a token of this server.',
  ),
  'token-malformed': entry(
    false,
    401,
    3,
    'The token is mistyped.',
    'Its checksum does not fit: copy the whole token again.',
  ),
  'token-unknown': entry(
    false,
    401,
    3,
    'The token is not known here.',
    'Ask an administrator of this server for a token.',
  ),
  'token-expired': entry(false, 401, 3, 'The token has expired.', 'Ask an administrator for a new one.'),
  'token-revoked': entry(false, 401, 3, 'The token has been revoked.', 'Ask an administrator for a new one.'),
  'too-many-failures': entry(
    true,
    429,
    3,
    'Too many tokens that are not good came from this address.',
    'Wait as long as Retry-After says, and look for the agent that has a wrong token.',
  ),
  'user-disabled': entry(
    false,
    403,
    3,
    'The account of this token is disabled.',
    'Ask an administrator of this server.',
  ),
  'scope-missing': entry(
    false,
    403,
    3,
    'The token does not allow this call.',
    'Use a token with the scope that the detail names.',
  ),
  'token-life-exceeded': entry(
    false,
    403,
    3,
    'The new token would end later than the token that asks.',
    'Ask for fewer days, or ask an administrator for the token.',
  ),
  'username-mismatch': entry(
    false,
    403,
    3,
    'The username is not the one of the token.',
    'Leave the username to the agent; it reads it from the server.',
  ),

  // control plane: the name that is asked for
  'subdomain-invalid': entry(
    false,
    400,
    4,
    'The subdomain is not a usable name.',
    'Use 3 to 63 characters of a-z, 0-9 and inner hyphens.',
  ),
  'subdomain-reserved': entry(false, 403, 4, 'The subdomain is reserved.', 'Choose another name.'),
  'subdomain-not-allowed': entry(
    false,
    403,
    4,
    'The token does not allow this subdomain.',
    'Choose a name that fits the patterns of the token.',
  ),
  'subdomain-taken': entry(false, 409, 4, 'The subdomain belongs to another account.', 'Choose another name.'),
  'subdomain-quota': entry(
    false,
    403,
    4,
    'The account holds as many subdomains as it may.',
    'Release one, or ask an administrator for more.',
  ),

  'tunnel-quota': entry(
    false,
    403,
    4,
    'The account has as many tunnels open as it may.',
    'Close one, or ask an administrator for more.',
  ),

  // control plane: what is administered
  'user-taken': entry(
    false,
    409,
    2,
    'There is a user of this name already.',
    'Change that user, or take another name.',
  ),
  'already-bootstrapped': entry(
    false,
    409,
    2,
    'This deployment has its first administrator already.',
    'Use that token, or make another one with bootstrap --force.',
  ),

  // opening a channel
  'ticket-refused': entry(
    true,
    403,
    5,
    'The ticket is unknown, expired or used.',
    'A new ticket is needed; the agent asks for one by itself.',
  ),
  'ip-not-allowed': entry(
    false,
    403,
    5,
    'The channel server saw another address than the ticket is for.',
    'The control plane and the channel server see different addresses of this machine (VPN, proxy, several exits): route both the same way.',
  ),
  'observation-refused': entry(
    true,
    403,
    5,
    'What the channel server observed cannot be used any more.',
    'A new ticket without it is needed; the agent asks for one by itself.',
  ),
  'key-mismatch': entry(
    false,
    403,
    5,
    'The other end does not hold the key of the ticket.',
    'Somebody between the two ends may be answering: check the network path.',
  ),
  'opening-malformed': entry(false, 400, 5, 'The opening of the channel does not follow the protocol.', REPORT),
  'opening-timeout': entry(true, 408, 5, 'The channel was not opened in time.', 'Check the path to the channel port.'),
  'proxy-header-invalid': entry(
    false,
    400,
    5,
    'The PROXY protocol header is missing or malformed.',
    'Let the balancer send PROXY protocol version 2 on this port, and nothing else reach it.',
  ),
  'server-draining': entry(
    true,
    503,
    5,
    'This task is stopping; another one takes the channel.',
    'Connect again at once; the agent does so by itself.',
  ),
  'server-busy': entry(true, 503, 5, 'The server is busy just now.', RETRY_LATER),
  'server-unreachable': entry(
    true,
    503,
    5,
    'The server cannot be reached.',
    'Check the name of the server and the path to it.',
  ),
  'hello-invalid': entry(
    false,
    400,
    2,
    'The agent introduced itself in a way the server does not accept.',
    'Use an agent of the same version as the server; the detail names the field.',
  ),

  // an open channel
  'protocol-violation': entry(true, 502, 5, 'The other end of the channel broke the protocol.', REPORT),
  'channel-lost': entry(true, 502, 5, 'The channel broke off.', RETRY_LATER),
  'channel-closed': entry(true, 502, 5, 'The channel is closed.', RETRY_LATER),
  'stream-reset': entry(
    false,
    502,
    5,
    'The other end abandoned the stream.',
    'Look at the other end; nothing is wrong with the channel.',
  ),
  'streams-exhausted': entry(true, 503, 5, 'The tunnel has as many requests open as it may.', 'Wait for some to end.'),
  'pool-full': entry(
    true,
    409,
    4,
    'As many agents serve the subdomain as may share one.',
    'End one of them, or open fewer connections with --connections.',
  ),
  superseded: entry(
    false,
    409,
    4,
    'Another agent has taken the subdomain.',
    'Two agents share a name only with --pool; otherwise the newest has it.',
  ),
  revoked: entry(false, 403, 3, 'The right to this tunnel has been revoked.', 'Ask an administrator of this server.'),

  // a visitor's request
  'request-invalid': entry(
    false,
    400,
    1,
    'The request is not valid HTTP.',
    'The detail names the rule and its RFC section.',
  ),
  'forwarded-for-invalid': entry(
    false,
    400,
    1,
    'The proxy in front of the service names no address as the visitor.',
    'Let the proxy end X-Forwarded-For with the address from which each request reached it.',
  ),
  'head-too-large': entry(
    false,
    431,
    1,
    'The header section of the request is too large.',
    'Send at most 100 fields and 32 KiB.',
  ),
  'uri-too-long': entry(false, 414, 1, 'The request target is too long.', 'Send at most 16 KiB.'),
  'transfer-coding-unsupported': entry(
    false,
    501,
    1,
    'Only the transfer coding chunked is served.',
    'Send the body chunked or with Content-Length.',
  ),
  'version-unsupported': entry(
    false,
    505,
    1,
    'This version of HTTP is not served here.',
    'Use HTTP/1.1, or HTTP/2 from the first byte of the connection.',
  ),
  'connect-refused': entry(
    false,
    405,
    1,
    'CONNECT is not served.',
    'A tunnel is reached by its own name, not as a proxy.',
  ),
  'upgrade-unsupported': entry(
    false,
    501,
    1,
    'The local server of this tunnel speaks HTTP/2, which has no Upgrade.',
    'Ask without Upgrade; or run the agent without --upstream-protocol h2c.',
  ),
  'connection-sign-in': entry(
    false,
    505,
    1,
    'The local server signs visitors in by connection, and requests of several visitors may come by one.',
    'Ask over HTTP/1.1, as browsers do by themselves; behind a proxy that shares its connections, sign in another way.',
  ),
  'head-timeout': entry(true, 408, 1, 'The request did not arrive in time.', 'Send the header section within 10 s.'),
  'body-timeout': entry(true, 408, 1, 'The body stood still for too long.', 'Send it without pauses of minutes.'),
  'host-unknown': entry(
    false,
    404,
    1,
    'No tunnel service answers for this host.',
    'Check the host name; a tunnel is one label below the base domain.',
  ),
  'nested-name': entry(
    false,
    404,
    1,
    'This service does not serve that host below the name of a tunnel.',
    'Use the name of the tunnel itself. The operator of the service can add a certificate for such hosts and list the tunnel in POSTERN_NESTED_NAMES.',
  ),
  'tunnel-not-found': entry(
    false,
    404,
    1,
    'No tunnel has this name.',
    'Start it: npx tunnel-agent http <port> --subdomain <name>.',
  ),
  'tunnel-offline': entry(
    true,
    503,
    1,
    'The agent of this tunnel is away.',
    'Reload in a few seconds: an agent that runs comes back by itself. If the tunnel is yours, start its agent.',
  ),
  'tunnel-moved': entry(
    true,
    503,
    1,
    'The tunnel is moving from one task of the service to another.',
    'It is there again within seconds; reload.',
  ),
  'peer-unreachable': entry(
    true,
    503,
    1,
    'The task that holds this tunnel cannot be reached just now.',
    'Try again in a few seconds.',
  ),
  'lookups-exhausted': entry(
    true,
    503,
    1,
    'Too many names are being looked up just now.',
    'Try again in a few seconds.',
  ),
  'visitor-not-allowed': entry(
    false,
    403,
    1,
    'This tunnel is not open to your address.',
    'Ask whoever runs the tunnel to allow the address you come from.',
  ),
  'visitor-unauthorised': entry(
    false,
    401,
    1,
    'This tunnel asks for a name and a password.',
    'Send them as basic authentication; whoever runs the tunnel knows them.',
  ),
  'visitor-locked-out': entry(
    true,
    429,
    1,
    'Too many wrong passwords came from this address.',
    'Wait for a minute, and look for the program that has a wrong password.',
  ),
  'visitor-checks-busy': entry(
    true,
    503,
    1,
    'Too many passwords wait to be checked just now.',
    'Try again in a few seconds.',
  ),
  'origin-refused': entry(
    true,
    502,
    1,
    'The local server refused the connection.',
    'Start the local server, or correct the port given to the agent.',
  ),
  'origin-unreachable': entry(
    true,
    502,
    1,
    'The local server cannot be reached.',
    'Check the address that was given to the agent.',
  ),
  'origin-timeout': entry(
    true,
    504,
    1,
    'The local server did not answer in time.',
    'Look at what the local server is doing.',
  ),
  'origin-closed': entry(
    true,
    502,
    1,
    'The local server closed the connection before it answered.',
    'Look at the log of the local server.',
  ),
  'origin-invalid': entry(
    false,
    502,
    1,
    'The local server sent something that is not valid HTTP.',
    'The detail names the rule and its RFC section.',
  ),
  'visitors-exhausted': entry(
    true,
    503,
    1,
    'This task serves as many visitor connections as it may.',
    'Try again in a few seconds.',
  ),

  // a process and its settings
  'usage-invalid': entry(false, 400, 2, 'The command line could not be understood.', 'See --help.'),
  'config-invalid': entry(
    false,
    500,
    2,
    'A setting is missing or wrong.',
    'The detail names the setting and what was expected.',
  ),
  'port-taken': entry(false, 500, 2, 'Another program listens on this port.', 'End it, or choose another port.'),
} as const satisfies Record<string, FaultEntry>

export type FaultCode = keyof typeof FAULTS

/** Whether a text that came from outside is a code of the table. */
export const isFaultCode = (text: string): text is FaultCode => Object.hasOwn(FAULTS, text)

/** The one error class of the project. `detail` is for people, never holds a secret, and is cut at FAULT_DETAIL_CHARACTERS. */
export class TunnelFault extends Error {
  override readonly name = 'TunnelFault'
  readonly code: FaultCode
  readonly detail: string | undefined
  /** Milliseconds after which a retry makes sense, where whoever made the fault knows. */
  readonly retryAfterMs: number | undefined

  constructor(code: FaultCode, detail?: string, options?: { cause?: unknown; retryAfterMs?: number }) {
    const cut = detail?.slice(0, FAULT_DETAIL_CHARACTERS)
    super(cut ? `${FAULTS[code].title} ${cut}` : FAULTS[code].title, { cause: options?.cause })
    this.code = code
    this.detail = cut
    this.retryAfterMs = options?.retryAfterMs
  }

  get retryable(): boolean {
    return FAULTS[this.code].retryable
  }

  get status(): number {
    return FAULTS[this.code].status
  }

  get exit(): FaultEntry['exit'] {
    return FAULTS[this.code].exit
  }

  get advice(): string {
    return FAULTS[this.code].advice
  }
}

/** `error` as a fault: itself if it is one, otherwise `code` with `error` as its cause. */
export function toFault(error: unknown, code: FaultCode = 'internal-error'): TunnelFault {
  if (error instanceof TunnelFault) return error
  return new TunnelFault(code, error instanceof Error ? error.message : String(error), { cause: error })
}
