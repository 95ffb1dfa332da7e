/** For an agent of a test (`node --require`): the domain of the pages is this machine. */
const dns = require('node:dns')
const promises = require('node:dns/promises')

const OURS = /(^|\.)tunnel\.example\.com$/i
const { lookup } = dns
const { lookup: lookupPromised } = promises
dns.lookup = (name, options, callback) =>
  OURS.test(name) ? lookup('127.0.0.1', options, callback ?? options) : lookup(name, options, callback)
promises.lookup = (name, options) => lookupPromised(OURS.test(name) ? '127.0.0.1' : name, options)
