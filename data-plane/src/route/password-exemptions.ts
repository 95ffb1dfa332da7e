/** Which requests pass a tunnel with passwords without one: CORS preflights and named paths, as far as its rules say so. */
import type { VisitorRules } from '@postern/protocol/channel'
import { holdsPath, isPlainPath, pathOf, type RequestHead } from '@postern/protocol/http'

/** By these some frameworks take another path or method than the request line's, where a request must not have any. */
const OVERRIDES: ReadonlySet<string> = new Set([
  'x-original-url',
  'x-original-uri',
  'x-rewrite-url',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-method',
  'script-name',
  'path-info',
  'x-script-name',
  'x-forwarded-prefix',
  'x-forwarded-path',
  'x-forwarded-uri',
  'x-matched-path',
])
/** The same by a name in the query: Rails, Laravel and Symfony; WordPress. */
const QUERY_OVERRIDES: ReadonlySet<string> = new Set(['_method', 'rest_route'])
/** Token characters that local servers fold into hyphens (RFC 3875 §4.1.18). PHP makes underscores of them in names of the query. */
const ODD = /[^0-9a-z]/g
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

export class PasswordExemptions {
  readonly #preflights: boolean
  readonly #except: readonly string[]

  constructor({ allowPreflight = false, except = [] }: NonNullable<VisitorRules['basicAuth']>) {
    this.#preflights = allowPreflight
    this.#except = except
  }

  hold(head: RequestHead): boolean {
    const exempt = (this.#preflights && isPreflight(head)) || (this.#except.length > 0 && this.#holdsPath(head))
    return exempt && !isOverridden(head)
  }

  #holdsPath(head: RequestHead): boolean {
    const path = pathOf(head.path)
    return this.#except.some((pattern) => holdsPath(pattern, path)) && isPlainPath(path)
  }
}

/** As browsers send them (Fetch §4.8): a body, an upgrade or a sign-in makes another request of it. */
function isPreflight(head: RequestHead): boolean {
  if (head.method !== 'OPTIONS' || head.framing !== 'none' || head.upgrade !== undefined) return false
  const [origins, methods] = [head.fieldValues('origin'), head.fieldValues('access-control-request-method')]
  if (origins.length !== 1 || origins[0] === '' || methods.length !== 1 || !METHOD.test(methods[0]!)) return false
  return head.path.startsWith('/') && head.fieldValues('authorization').length === 0
}

/** A field with an underscore is one that some server takes for a variable of its own: gunicorn takes SCRIPT_NAME off the path. */
function isOverridden(head: RequestHead): boolean {
  for (let i = 0; i < head.fieldCount; i++) {
    const name = head.fieldName(i).toLowerCase()
    if (name.includes('_') || OVERRIDES.has(name.replaceAll(ODD, '-'))) return true
  }
  const query = head.path.slice(pathOf(head.path).length + 1)
  return query !== '' && query.split(/[&;]/).some((pair) => QUERY_OVERRIDES.has(queryName(pair)))
}

/** As PHP reads it: what stands before `=` or `[`, decoded. */
function queryName(pair: string): string {
  const name = decoded(pair.split('=', 1)[0]!.replaceAll('+', ' '))
  return name.trimStart().split('[', 1)[0]!.toLowerCase().replaceAll(ODD, '_')
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // No name that anybody takes for an override.
    return text
  }
}
