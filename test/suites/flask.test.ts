/** Flask's development server, its visitors by https. */
import { test } from 'vitest'
import { pythonSuite } from './python-suite.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'

const suite = pythonSuite({
  name: 'Flask',
  checks: 15,
  base: 'tunnel.test',
  https: true,
  server: () => ['-m', 'flask', '--app', 'flask_site', 'run', '--debug', '--no-reload', '--port', '0'],
  client: 'flask_client.py',
})

test('Flask: secure cookies, redirections and static files are the same through the tunnel', (context) =>
  sameThroughTunnel(suite, context))
