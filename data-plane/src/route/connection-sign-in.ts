/** Recognises sign-ins that belong to a connection instead of a request: NTLM and Negotiate (RFC 4559 §6). */
import { FIELD, type RequestHead, type ResponseHead } from '@postern/protocol/http'

const SIGNS_IN = /^(?:ntlm|negotiate)(?:[ \t]|$)/i
const OFFERS = /(?:^|,)[ \t]*(?:ntlm|negotiate)(?:[ \t,]|$)/i
const UNAUTHORIZED = 401

/** Whether the request carries such a sign-in. */
export function requestSignsIn({ lines }: RequestHead): boolean {
  return lines.has(FIELD.authorization) && SIGNS_IN.test(lines.joined(FIELD.authorization) ?? '')
}

/** Whether the response asks for one, or goes on with one. */
export function responseOffersSignIn({ status, lines }: ResponseHead): boolean {
  return status === UNAUTHORIZED && OFFERS.test(lines.joined(FIELD.wwwAuthenticate) ?? '')
}
