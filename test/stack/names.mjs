/**
 * Stands in for the name servers: whatever ends in a name of POSTERN_TEST_NAMES (a list with commas) is this machine. Loaded before
 * a program by `node --import`; knows nothing of it.
 */
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'

const LOOPBACK = { address: '127.0.0.1', family: 4 }
const names = (process.env.POSTERN_TEST_NAMES ?? '').split(',').filter((name) => name !== '')
const isHere = (hostname) => names.some((name) => hostname === name || hostname.endsWith(`.${name}`))

const { lookup } = dns
dns.lookup = (hostname, options, callback) => {
  const answer = typeof options === 'function' ? options : callback
  if (!isHere(hostname)) return lookup(hostname, options, callback)
  if (typeof options === 'object' && options.all) return process.nextTick(answer, null, [LOOPBACK])
  return process.nextTick(answer, null, LOOPBACK.address, LOOPBACK.family)
}

const { lookup: lookupPromise } = dns.promises
dns.promises.lookup = async (hostname, options) => {
  if (!isHere(hostname)) return lookupPromise(hostname, options)
  return typeof options === 'object' && options.all ? [LOOPBACK] : LOOPBACK
}

syncBuiltinESMExports()
