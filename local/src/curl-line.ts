/** The curl command that reaches a tunnel of this machine, as the curl and the resolver that are here need it. */
import { execFile } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import { promisify } from 'node:util'

export interface Surroundings {
  /** Whether the system resolves the name; many do for all of `localhost` (RFC 6761 §6.3), many do not. */
  resolves(name: string): Promise<boolean>
  /** The first line of `curl --version`; undefined without curl. */
  curlVersion(): Promise<string | undefined>
}

/** @param url of a tunnel: `http://demo.localhost:8080` */
export async function curlLine(url: string, surroundings: Surroundings = HERE): Promise<string> {
  const { hostname, host, port } = new URL(url)
  const known = resolvesLocalhost(await surroundings.curlVersion()) || (await surroundings.resolves(hostname))
  return known ? `curl ${url}/` : `curl -H 'Host: ${host}' http://127.0.0.1${port && `:${port}`}/`
}

/** curl answers for `*.localhost` itself from 7.85.0 on (curl pull request 9296). */
function resolvesLocalhost(version: string | undefined): boolean {
  const found = /^curl (\d+)\.(\d+)/.exec(version ?? '')
  if (!found) return false
  const [major, minor] = [Number(found[1]), Number(found[2])]
  return major > 7 || (major === 7 && minor >= 85)
}

const HERE: Surroundings = {
  resolves: (name) =>
    lookup(name).then(
      () => true,
      () => false,
    ),
  curlVersion: () =>
    promisify(execFile)('curl', ['--version']).then(
      ({ stdout }) => stdout,
      () => undefined,
    ),
}
