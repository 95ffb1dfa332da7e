/** Django's development server with DEBUG on and its administration, its visitors by https. */
import { test } from 'vitest'
import { pythonSuite } from './python-suite.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'

const suite = pythonSuite({
  name: 'Django',
  checks: 18,
  base: 'tunnel.test',
  https: true,
  server: () => ['-m', 'django_site'],
  client: 'django_client.py',
})

test('Django: forged requests are refused and real ones are not through the tunnel as without it', (context) =>
  sameThroughTunnel(suite, context))
