/** The grammar of a tunnel's name, and how a Host field leads to one. Knows nothing of who owns a name. */
import { TunnelFault } from '../fault.ts'

/** A name that has passed the grammar and is not reserved: one DNS label below the base domain, in lower case. */
export type Subdomain = string & { readonly __brand: 'Subdomain' }

const SHORTEST = 3
/** A DNS label holds at most 63 octets (RFC 1035 §2.3.4). */
const LONGEST = 63

/**
 * Names that browsers, mail software, certificate authorities or the service itself give a meaning: whoever served
 * one of them could be taken for the operator of the base domain (RFC 2142 for the mailbox names).
 */
const RESERVED: ReadonlySet<string> = new Set(
  `abuse account accounts admin administrator api app apps assets auth autoconfig autodiscover billing blog broadcasthost
  cdn channel console control dashboard dns docs email ftp git healthz help home host hostmaster http https
  imap info internal isatap localdomain localhost login logout mail manage metrics mta-sts mx news noc noreply no-reply
  ns ns1 ns2 ns3 ns4 oauth openid operator ops owner pop pop3 portal postern postmaster proxy public register root secure
  security server service signin signup smtp sso ssl static status support sysadmin system tls trust tunnel
  tunnels usenet uucp vpn webmaster webmail wpad www www1 www2 www3`.split(/\s+/),
)

/**
 * `text` as a name that may be asked for.
 * @throws TunnelFault `subdomain-invalid` (not 3 to 63 of a-z 0-9 and inner hyphens, or hyphens at places 3 and 4, which
 * RFC 5890 §2.3.1 keeps for punycode) or `subdomain-reserved`.
 */
export function parseSubdomain(text: string): Subdomain {
  if (!isLabel(text)) throw new TunnelFault('subdomain-invalid', brokenRule(text))
  if (RESERVED.has(text)) throw new TunnelFault('subdomain-reserved', `"${text}" is kept for the service.`)
  return text as Subdomain
}

/** In words, without the text itself: what was typed here by mistake may be a secret. */
function brokenRule(text: string): string {
  if (text.length < SHORTEST || text.length > LONGEST) return `It has ${text.length} characters.`
  if (/[^a-z0-9-]/.test(text)) return 'It has a character other than a-z, 0-9 and hyphen.'
  if (text.startsWith('-') || text.endsWith('-')) return 'It begins or ends with a hyphen.'
  return 'It has hyphens at places 3 and 4, which are kept for punycode.'
}

/**
 * The name that a Host field (RFC 9110 §7.2) asks for: exactly one label below `base`. Case, one trailing dot and the
 * port do not matter. Undefined for anything else. On the path of every request: no pattern, one slice.
 */
export function subdomainOf(host: string, base: string): Subdomain | undefined {
  const end = nameEnd(host)
  const dot = end - base.length - 1
  if (dot < SHORTEST || host.charCodeAt(dot) !== DOT || !endsWithBase(host, end, base)) return undefined
  const label = host.slice(0, dot)
  // Judged before it is lowered: toLowerCase makes ASCII of some letters that are none (U+212A becomes k).
  if (!isLabel(label, lower)) return undefined
  const name = label.toLowerCase()
  return RESERVED.has(name) ? undefined : (name as Subdomain)
}

/**
 * For a host any number of labels below a tunnel's name (`app.demo.example.com`): that name, and the labels (`app`) in lower case. Undefined for anything else.
 */
export function nestedName(host: string, base: string): { subdomain: Subdomain; below: string } | undefined {
  const end = nameEnd(host)
  const dot = end - base.length - 1
  const parting = host.lastIndexOf('.', dot - 1)
  if (parting < 1) return undefined
  const subdomain = subdomainOf(host.slice(parting + 1), base)
  const labels = host.slice(0, parting).split('.')
  return subdomain !== undefined && labels.every(isHostLabel)
    ? { subdomain, below: labels.join('.').toLowerCase() }
    : undefined
}

/** RFC 1123 §2.1. Letters of ASCII alone, before anything is lowered. */
const isHostLabel = (text: string): boolean => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(text)

/** Whether a Host field names the base domain itself; case, one trailing dot and the port do not matter. */
export function isBase(host: string, base: string): boolean {
  const end = nameEnd(host)
  return end === base.length && endsWithBase(host, end, base)
}

const DOT = 0x2e
const HYPHEN = 0x2d
const COLON = 0x3a
const BRACKET = 0x5d

/** Where the name ends in `name[.][:port]`. An IPv6 literal keeps its brackets and so never equals a domain. */
function nameEnd(host: string): number {
  let end = host.length
  let at = end - 1
  while (at >= 0 && isDigit(host.charCodeAt(at))) at -= 1
  if (at >= 0 && host.charCodeAt(at) === COLON && host.charCodeAt(at - 1) !== BRACKET) end = at
  return end > 0 && host.charCodeAt(end - 1) === DOT ? end - 1 : end
}

/** Whether the `base.length` characters before `end` are `base`, which is in lower case, in any case. */
function endsWithBase(host: string, end: number, base: string): boolean {
  const start = end - base.length
  if (start < 0) return false
  for (let i = 0; i < base.length; i += 1) {
    if (lower(host.charCodeAt(start + i)) !== base.charCodeAt(i)) return false
  }
  return true
}

function isLabel(text: string, fold: (code: number) => number = asIs): boolean {
  const last = text.length - 1
  if (text.length < SHORTEST || text.length > LONGEST) return false
  for (let i = 0; i <= last; i += 1) {
    const code = fold(text.charCodeAt(i))
    const inner = code === HYPHEN && i > 0 && i < last
    if (!inner && !isDigit(code) && !(code >= 0x61 && code <= 0x7a)) return false
  }
  return !(text.charCodeAt(2) === HYPHEN && text.charCodeAt(3) === HYPHEN)
}

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39
const asIs = (code: number): number => code
const lower = (code: number): number => (code >= 0x41 && code <= 0x5a ? code + 0x20 : code)
