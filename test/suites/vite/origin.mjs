/** A Vite dev server of a new site in the folder it is given, with Vite's own settings. Prints its port. Knows nothing of who asks. */
import { createServer } from 'vite'
import { writeSite } from './site.mjs'

const [root, port] = process.argv.slice(2)
await writeSite(root)
const server = await createServer({
  root,
  configFile: false,
  logLevel: 'silent',
  // Port 0 would be Vite's own one.
  server: { host: '127.0.0.1', port: Number(port), strictPort: true },
  plugins: [
    {
      name: 'suite',
      configureServer: ({ hot }) => hot.on('suite:hello', (_, client) => client.send('suite:hello')),
    },
  ],
})
await server.listen()
console.log(server.httpServer.address().port)
