/**
 * Loaded into Express's own tests before them: what supertest would ask a server of its own goes to SUITE_URL, and arrives at the one server on
 * SUITE_PORT, which hands it to the application that was meant. Knows nothing of the tests.
 */
const { createServer } = require('node:http')
const Test = require('supertest/lib/test')

/** Says which application is meant, and is taken off again before that sees the request. */
const FIELD = 'X-Suite-Application'

const applications = []

const front = createServer((request, response) => {
  const server = applications[Number(request.headers[FIELD.toLowerCase()])]
  delete request.headers[FIELD.toLowerCase()]
  const at = request.rawHeaders.findIndex((name) => name.toLowerCase() === FIELD.toLowerCase())
  request.rawHeaders.splice(at, 2)
  // Some tests leave marks on the connection (`encrypted`), which the next one must not find.
  response.shouldKeepAlive = false
  server.emit('request', request, response)
})

exports.mochaGlobalSetup = () =>
  new Promise((resolve) => {
    front.listen(Number(process.env.SUITE_PORT), '127.0.0.1', resolve)
  })
exports.mochaGlobalTeardown = () => {
  front.close()
  front.closeAllConnections()
}

/** In place of supertest's: no server is started. @this {Test} */
Test.prototype.serverAddress = function (server, path) {
  this.set(FIELD, String(applications.push(server) - 1))
  // Two tests ask where their server listens; without a handle supertest does not close it.
  this._server = { address: () => front.address() }
  return process.env.SUITE_URL + path
}
