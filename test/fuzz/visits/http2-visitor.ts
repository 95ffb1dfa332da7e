/** A visitor by HTTP/2: node's client over a connection without a kernel. */
import { Http1Visitor } from './http1-visitor.ts'

export class Http2Visitor extends Http1Visitor {}
