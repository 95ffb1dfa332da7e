/** A registry that knows only what is published to it, in the folder it is given. Prints its port. Knows nothing of who asks. */
import { once } from 'node:events'
import { join } from 'node:path'
import { runServer } from 'verdaccio'

const [folder] = process.argv.slice(2)
const anybody = { access: '$all', publish: '$all', unpublish: '$all' }
const registry = await runServer({
  self_path: join(folder, 'config.yaml'),
  storage: join(folder, 'storage'),
  auth: { htpasswd: { file: join(folder, 'htpasswd'), max_users: 10 } },
  packages: { '@*/*': anybody, '**': anybody },
  max_body_size: '64mb',
  log: { type: 'stdout', level: 'fatal' },
})
registry.listen(0, '127.0.0.1')
await once(registry, 'listening')
console.log(registry.address().port)
