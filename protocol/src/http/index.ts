/** The door of the HTTP/1.1 message layer: heads parsed strictly, bodies delimited, heads written again. Knows no socket. */
export { isAuthority } from './authority.ts'
export { BodyBoundary } from './body-boundary.ts'
export { chunkOf, LAST_CHUNK } from './chunk-writer.ts'
export { CookieFence } from './cookie-fence.ts'
export { cookieValues } from './cookie-pairs.ts'
export { Dechunker } from './dechunker.ts'
export type { FieldLines } from './field-lines.ts'
export { FIELD } from './field-names.ts'
export { ForwardedFields } from './forwarded-fields.ts'
export type { BodyFraming } from './framing.ts'
export { HeadCarry } from './head-carry.ts'
export { type HeaderChanges, headerChanges, isFieldValue, mayAdd, mayChange } from './header-changes.ts'
export {
  type Http2Fields,
  http2RequestFields,
  http2ResponseFields,
  http2Trailers,
  joinRepeated,
} from './http1-to-http2.ts'
export { http1LastChunk, http1RequestHead, http1ResponseHead, type RawFields } from './http2-to-http1.ts'
export { MessageHead } from './message-head.ts'
export { type MessageEvents, MessageReader } from './message-reader.ts'
export { OriginMending, type PublicPlace } from './origin-mending.ts'
export { holdsPath } from './path-pattern.ts'
export { isPlainPath, pathOf } from './plain-path.ts'
export { RequestHead, RequestHeadParser } from './request-head.ts'
export { type RequestForwarding, writeRequestHead } from './request-head-writer.ts'
export { ResponseHead, ResponseHeadParser } from './response-head.ts'
export {
  keepsVisitor,
  needsChunking,
  needsDechunking,
  type ResponseForwarding,
  type ValueMending,
  writeResponseHead,
} from './response-head-writer.ts'
export { RULES, type Rule, ruleOf, type Side } from './rules.ts'
