/** boto3, the AWS SDK for Python, before moto's S3 server. */
import { test } from 'vitest'
import { pythonSuite } from './python-suite.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'

const suite = pythonSuite({
  name: 'S3',
  checks: 26,
  server: () => ['-m', 'moto.server', '--host', '127.0.0.1', '--port', '0'],
  // The tunnel's name is not the name of a bucket.
  serverEnv: () => ({ S3_IGNORE_SUBDOMAIN_BUCKETNAME: 'true' }),
  client: 's3_client.py',
})

test('S3: objects in parts, in ranges and by presigned URLs are the same through the tunnel', (context) =>
  sameThroughTunnel(suite, context))
