/** What `npm start` prints once it serves: an address, and lines that work when they are copied. */
import { dirname } from 'node:path'
import { curlLine } from './curl-line.ts'
import type { LocalSystem } from './local-system.ts'

/** The folder that an agent in this checkout looks into by itself. */
export const DEFAULT_FOLDER = '.postern'

const RESTART = `    a rolling restart             r and Enter: the tasks are replaced one after the other
`

export async function welcomeText(
  system: Pick<LocalSystem, 'demoUrl' | 'server' | 'profile' | 'replaceTasks'>,
  folder: string,
): Promise<string> {
  const agent = 'npx tunnel-agent http 3000 --subdomain hello'
  const elsewhere = folder === DEFAULT_FOLDER ? agent : `TUNNEL_AGENT_CONFIG=${quoted(system.profile)} ${agent}`
  const admin = folder === DEFAULT_FOLDER ? '' : ` --local ${quoted(dirname(system.profile))}`
  if (system.demoUrl === undefined)
    return `
  Postern serves ${system.server} behind your TLS front.

    an administrator's token      npx tunnel-admin bootstrap${admin} > admin.token
    a token for a laptop          npx tunnel-admin token create --label laptop --server ${system.server} --token-file admin.token > laptop.token
    on the laptop                 npx tunnel-agent http 3000 --server ${system.server} --token-file laptop.token

  SIGTERM or Ctrl+C stops everything; the next start finds its data again in ${folder}.

`
  return `
  Postern runs on this machine.

    a tunnel to the demo server   ${system.demoUrl}
    the same from a terminal      ${await curlLine(system.demoUrl)}
    a tunnel of your own          ${elsewhere}
                                  (in this folder, in a second terminal; 3000 is the port of your server)
    an administrator's token      npx tunnel-admin bootstrap --save${admin}
${system.replaceTasks ? RESTART : ''}
  Ctrl+C stops everything; the next start finds its data again in ${folder}.

`
}

const quoted = (path: string): string => (/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`)
