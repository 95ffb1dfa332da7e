/** What frames of HTTP/2 are made of that no library would send (RFC 9113 §6). Knows nothing of sockets. */

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
}
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 }

export const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A block of fields for a request to `host`, of indexed fields and one literal (RFC 7541 §6). */
export const requestBlock = (host: string, method: 'GET' | 'POST' = 'GET'): Buffer =>
  Buffer.concat([Buffer.from([method === 'GET' ? 0x82 : 0x83, 0x86, 0x84, 0x01, host.length]), Buffer.from(host)])
