/** Reads HTTP/1.1 messages slowly and obviously, as an oracle: every byte of them is kept. Knows nothing of sockets. */

export interface Message {
  readonly startLine: string
  /** Field lines as they were sent, in their order and case. */
  readonly lines: readonly string[]
  /** The body as it was sent: chunk sizes, extensions and trailers included. */
  readonly body: Buffer
  /** Where the next message begins. */
  readonly end: number
}

export interface Head {
  readonly startLine: string
  readonly lines: readonly string[]
  /** Where the body begins. */
  readonly end: number
}

/** The head that begins at `from`; undefined while it is incomplete. */
export function readHead(bytes: Buffer, from = 0): Head | undefined {
  const end = bytes.indexOf('\r\n\r\n', from, 'latin1')
  if (end < 0) return undefined
  const [startLine = '', ...lines] = bytes.toString('latin1', from, end).split('\r\n')
  return { startLine, lines, end: end + 4 }
}

/** Values of all lines of that name, in order. */
export function fieldsOf({ lines }: { readonly lines: readonly string[] }, name: string): string[] {
  const prefix = `${name.toLowerCase()}:`
  return lines.filter((line) => line.toLowerCase().startsWith(prefix)).map((line) => line.slice(prefix.length).trim())
}

/** The value of the only line of that name; undefined if there is none. @throws Error if there are several */
export function fieldOf(message: { readonly lines: readonly string[] }, name: string): string | undefined {
  const [value, ...others] = fieldsOf(message, name)
  if (others.length > 0) throw new Error(`${others.length + 1} fields ${name}`)
  return value
}

/** The request at `from`; undefined while it is incomplete. */
export function readRequest(bytes: Buffer, from = 0): Message | undefined {
  const head = readHead(bytes, from)
  return head && withBody(head, bytes, framedEnd(head, bytes) ?? head.end)
}

export interface ResponseContext {
  /** Of the request that is answered. */
  readonly method?: string
  /** No further byte comes: the end of a body that is delimited by the close. */
  readonly ended?: boolean
}

/** The response (interim ones are messages of their own) at `from`; undefined while it is incomplete. */
export function readResponse(bytes: Buffer, from: number, context: ResponseContext): Message | undefined {
  const head = readHead(bytes, from)
  if (head === undefined) return undefined
  const status = statusOf(head)
  const bodiless = context.method === 'HEAD' || status < 200 || status === 204 || status === 304
  if (bodiless) return withBody(head, bytes, head.end)
  const end = framedEnd(head, bytes)
  if (end !== undefined) return withBody(head, bytes, end)
  return context.ended === true ? withBody(head, bytes, bytes.length) : undefined
}

export const statusOf = (head: { readonly startLine: string }): number => Number(head.startLine.split(' ')[1])

/** The body without its framing. */
export function contentOf(message: Message): Buffer {
  if (!isChunked(message)) return message.body
  const pieces: Buffer[] = []
  for (let at = 0; ; ) {
    const { size, dataAt } = chunkAt(message.body, at)!
    if (size === 0) return Buffer.concat(pieces)
    pieces.push(message.body.subarray(dataAt, dataAt + size))
    at = dataAt + size + 2
  }
}

/** Sizes of the chunks, in order, the last one left out. */
export function chunkSizes(body: Buffer): number[] {
  const sizes: number[] = []
  for (let at = 0; ; ) {
    const { size, dataAt } = chunkAt(body, at)!
    if (size === 0) return sizes
    sizes.push(size)
    at = dataAt + size + 2
  }
}

function withBody(head: Head, bytes: Buffer, end: number): Message | undefined {
  if (end > bytes.length || end < 0) return undefined
  return { startLine: head.startLine, lines: head.lines, body: bytes.subarray(head.end, end), end }
}

const isChunked = (head: { readonly lines: readonly string[] }): boolean =>
  fieldOf(head, 'transfer-encoding')?.toLowerCase() === 'chunked'

/** Where the body ends; infinity while that is not to be seen; undefined if the head does not frame it. */
function framedEnd(head: Head, bytes: Buffer): number | undefined {
  if (isChunked(head)) return chunkedEnd(bytes, head.end) ?? Number.POSITIVE_INFINITY
  const length = fieldOf(head, 'content-length')
  return length === undefined ? undefined : head.end + Number(length)
}

function chunkedEnd(bytes: Buffer, from: number): number | undefined {
  for (let at = from; ; ) {
    const chunk = chunkAt(bytes, at)
    if (chunk === undefined) return undefined
    if (chunk.size === 0) return trailerEnd(bytes, chunk.dataAt)
    at = chunk.dataAt + chunk.size + 2
  }
}

function chunkAt(bytes: Buffer, at: number): { size: number; dataAt: number } | undefined {
  const lineEnd = bytes.indexOf('\r\n', at, 'latin1')
  if (lineEnd < 0) return undefined
  const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
  if (!Number.isInteger(size)) throw new Error(`no chunk size at ${at}`)
  return { size, dataAt: lineEnd + 2 }
}

function trailerEnd(bytes: Buffer, from: number): number | undefined {
  for (let at = from; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at, 'latin1')
    if (lineEnd < 0) return undefined
    if (lineEnd === at) return lineEnd + 2
    at = lineEnd + 2
  }
}
