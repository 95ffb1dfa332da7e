/**
 * For programs that ask the system for addresses: every name below localhost is this machine (RFC 6761 §6.3), which not every C library knows.
 * Loaded before anything else (`node --require`). Knows nothing of what asks.
 */
const dns = require('node:dns')

const lookup = dns.lookup
dns.lookup = (name, options, callback) => {
  if (!/\.localhost$/i.test(name)) return lookup(name, options, callback)
  return lookup('127.0.0.1', options, callback ?? options)
}
