/** The service of the gRPC suite, written down by hand: messages are bytes, so that no compiler is needed. Knows neither end. */

const bytes = (message) => Buffer.from(message)
const method = (name, requestStream, responseStream) => ({
  path: `/postern.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
})

export const ECHO = {
  unary: method('Unary', false, false),
  collect: method('Collect', true, false),
  count: method('Count', false, true),
  chat: method('Chat', true, true),
  /** How the calls of this id ended, for the server. */
  endings: method('Endings', false, false),
}
