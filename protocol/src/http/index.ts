/** The door of the HTTP/1.1 message layer: heads parsed strictly, bodies delimited, heads written again. Knows no socket. */

/** How the end of a body is found (RFC 9112 §6.3). `close` occurs in responses only. */
export type BodyFraming = 'none' | 'length' | 'chunked' | 'close'

/**
 * What both kinds of head share. A head belongs to its parser and reads the buffer it was parsed from: it holds until the
 * parser is given the next message or is released. Strings are made only when asked for.
 */
export declare abstract class MessageHead {
  /** Bytes of the head in the buffer, the empty line (and one leading empty line, if there was one) included. */
  readonly bytes: number
  readonly version: 10 | 11
  readonly framing: BodyFraming
  /** The value of Content-Length; −1 without that field. Of a response without body it says what a GET would bring. */
  readonly contentLength: number
  /** Whether the sender is ready for another message on this connection; a `close` framing is not. */
  readonly keepAlive: boolean
  /** The value of Upgrade: of a valid upgrade request, or of the 101 that grants one. */
  readonly upgrade: string | undefined
  readonly fieldCount: number
  fieldName(index: number): string
  fieldValue(index: number): string
  /** The value of a field, in any case; several field lines joined by `, ` (RFC 9110 §5.3), which is wrong for Set-Cookie. */
  field(name: string): string | undefined
  /** Every value of a field, in order. */
  fieldValues(name: string): string[]
}

export declare class RequestHead extends MessageHead {
  readonly method: string
  /** The request target as it was sent. */
  get target(): string
  /** The target in origin-form (or `*`): what is sent on. */
  get path(): string
  /** Lower-case authority of Host, port included; '' if Host is empty, or absent from an HTTP/1.0 request. */
  readonly host: string
  /** `host` without its port. */
  readonly hostname: string
  /** HTTP/1.1 and `Expect: 100-continue`. */
  readonly expectContinue: boolean
  /** RFC 9110 §9.2.1. Unknown methods are neither. */
  get safe(): boolean
  /** RFC 9110 §9.2.2. */
  get idempotent(): boolean
}

export declare class ResponseHead extends MessageHead {
  readonly status: number
  get reason(): string
  /** 1xx other than 101: another head follows. */
  readonly interim: boolean
  /** `timeout` of the Keep-Alive field in milliseconds. */
  get keepAliveTimeoutMs(): number | undefined
}

/** One per visitor connection. */
export declare class RequestHeadParser {
  /**
   * The head that begins at `from`, or undefined while it is incomplete: then call again with the same bytes at `from`
   * (in whichever buffer) and more behind them; nothing is scanned twice over.
   * @throws TunnelFault request-invalid, head-too-large, uri-too-long, transfer-coding-unsupported, version-unsupported,
   *   connect-refused; `detail` begins with the rule's name and cites its section.
   */
  parse(buffer: Buffer, from: number, to: number): RequestHead | undefined
  /** Lets go of the buffer and of a head that is half read. */
  release(): void
}

/** One per stream to a local server. */
export declare class ResponseHeadParser {
  /** Names the request that the next heads answer: HEAD has no body, and 101 is granted only to who asked. */
  answer(method: string, upgrade: boolean): void
  /** As for requests. @throws TunnelFault origin-invalid. */
  parse(buffer: Buffer, from: number, to: number): ResponseHead | undefined
  release(): void
}

/** What of a head came so far, when it came in pieces. Growing costs amortised O(1) a byte. */
export declare class HeadCarry {
  /** Appends; `buffer` and `length` are then what to parse. */
  append(chunk: Buffer, from: number, to: number): void
  get buffer(): Buffer
  get length(): number
  clear(): void
}

/** Finds the end of a body. Reusable; one per direction. */
export declare class BodyBoundary {
  /** `side` decides the code of faults: request-invalid or origin-invalid. */
  constructor(side: 'request' | 'response')
  start(framing: BodyFraming, contentLength: number): void
  /** Index after the last byte of the body within [from, to), or `to` if it goes on. @throws TunnelFault */
  advance(buffer: Buffer, from: number, to: number): number
  readonly done: boolean
  /** The connection ended: what that makes of the body. */
  end(): 'complete' | 'cut'
}

/** Takes the chunked coding off, for visitors that speak HTTP/1.0. Trailers are dropped. */
export declare class Dechunker {
  /** `data` gets the spans of body bytes, synchronously, within `advance`. */
  constructor(data: (buffer: Buffer, from: number, to: number) => void)
  start(): void
  advance(buffer: Buffer, from: number, to: number): number
  readonly done: boolean
}

/** The fields that tell the local server who visits; one per visitor connection. */
export declare class ForwardedFields {
  constructor(clientAddress: string, proto: 'http' | 'https', trustVisitor?: boolean)
}

export interface RequestForwarding {
  readonly forwarded: ForwardedFields
  readonly requestId: string
  /** Sent as Host instead of the visitor's, if given. X-Forwarded-Host keeps the visitor's. */
  readonly host?: string | undefined
  /** Complete field lines (each ending in CRLF) to add; whoever gives them has validated them. */
  readonly extraLines?: string | undefined
}

/** Drops Set-Cookie fields that would reach other tunnels, and counts them. */
export declare class CookieFence {
  constructor(baseDomain: string)
  readonly dropped: number
}

export interface ResponseForwarding {
  readonly visitorVersion: 10 | 11
  /** What the visitor's connection shall do after this message; `keepsVisitor` must have agreed. */
  readonly keepAlive: boolean
  readonly requestId: string
  readonly cookies?: CookieFence | undefined
  readonly extraLines?: string | undefined
}

/** The head as it is sent on to the local server. */
export declare function writeRequestHead(head: RequestHead, forwarding: RequestForwarding): Buffer
/** The head as it is sent on to the visitor. Never call it with an interim head for an HTTP/1.0 visitor. */
export declare function writeResponseHead(head: ResponseHead, forwarding: ResponseForwarding): Buffer
/** Whether the end of this response is visible to the visitor without closing: not if `close`, nor if chunked for HTTP/1.0. */
export declare function keepsVisitor(head: ResponseHead, visitorVersion: 10 | 11): boolean
/** Whether the body must pass a `Dechunker`: chunked, and the visitor speaks HTTP/1.0. */
export declare function needsDechunking(head: ResponseHead, visitorVersion: 10 | 11): boolean
