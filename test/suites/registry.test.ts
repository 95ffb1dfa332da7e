/** skopeo before Docker's registry: images pushed, pulled, copied and removed. */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'vitest'
import { runCommand, tryCommand } from '../support/run-command.ts'
import { Checks } from './checks.ts'
import { unpackDebianPackage, unpackedPath } from './debian-unpacked.ts'
import { debianPackages, NAMES_LIBRARY } from './install.ts'
import { writeOciLayout } from './registry/oci-layout.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'
import { startServer } from './server-process.ts'
import type { Suite } from './suite.ts'
import { visit } from './visit.ts'

const MIB = 1024 * 1024
const DEADLINE_MS = 120_000

const suite: Suite = {
  name: 'skopeo',
  checks: 13,
  install: async () =>
    (await debianPackages(['skopeo', NAMES_LIBRARY], ['skopeo', 'libnss-wrapper'])) ??
    // Installed, it would be a service.
    unpackDebianPackage('docker-registry'),
  async run(way, folder) {
    const checks = new Checks()
    const server = await startRegistry(folder)
    try {
      const url = await way.reach(server.port)
      const { host, hostname } = new URL(url)
      const hosts = join(folder, 'hosts')
      await writeFile(hosts, `127.0.0.1 ${hostname}\n`)
      const env = {
        ...process.env,
        ...{ LD_PRELOAD: NAMES_LIBRARY, NSS_WRAPPER_HOSTS: hosts, GODEBUG: 'netdns=cgo' },
        ...{ HOME: folder, TMPDIR: folder, no_proxy: '*', NO_PROXY: '*' },
      }
      const skopeo = async (...args: string[]): Promise<string> =>
        (await runCommand('skopeo', ['--insecure-policy', ...args], { env, deadlineMs: DEADLINE_MS })).stdout
      const copy = (from: string, to: string, ...args: string[]) =>
        skopeo('copy', '-q', '--src-tls-verify=false', '--dest-tls-verify=false', ...args, from, to)
      const digestAt = async (name: string): Promise<string> =>
        JSON.parse(await skopeo('inspect', '--tls-verify=false', name)).Digest
      const at = (name: string): string => `docker://${host}/${name}`

      const image = join(folder, 'image')
      const digest = await writeOciLayout(image, 'v1', [16 * MIB, MIB, 100, 0])
      await checks.that('a push of an image with a layer of 16 MiB', async () => {
        await copy(`oci:${image}:v1`, at('suite/image:v1'))
        return true
      })
      await checks.that(
        'the image has the digest that it had',
        async () => (await digestAt(at('suite/image:v1'))) === digest,
      )
      await checks.that('a pull gives the same files', async () => {
        await copy(at('suite/image:v1'), `oci:${join(folder, 'back')}:v1`)
        return same(await blobs(join(folder, 'back')), await blobs(image))
      })
      await checks.that('a pull by digest', async () => {
        await copy(at(`suite/image@${digest}`), `oci:${join(folder, 'by-digest')}:v1`)
        return same(await blobs(join(folder, 'by-digest')), await blobs(image))
      })
      await checks.that('a second push finds every layer there', async () => {
        await copy(`oci:${image}:v1`, at('suite/image:v2'))
        return (await digestAt(at('suite/image:v2'))) === digest
      })
      await checks.that('the tags are listed', async () => {
        const { Tags } = JSON.parse(await skopeo('list-tags', '--tls-verify=false', at('suite/image')))
        return same(Tags.sort(), ['v1', 'v2'])
      })
      await checks.that('a copy from one repository to another', async () => {
        await copy(at('suite/image:v1'), at('suite/other:v1'))
        return (await digestAt(at('suite/other:v1'))) === digest
      })
      await checks.that('a push in the format of Docker', async () => {
        await copy(`oci:${image}:v1`, at('suite/docker:v1'), '--format', 'v2s2')
        const raw = JSON.parse(await skopeo('inspect', '--raw', '--tls-verify=false', at('suite/docker:v1')))
        return raw.mediaType === 'application/vnd.docker.distribution.manifest.v2+json'
      })
      await checks.that('an index of three images, all of them', async () => {
        const several = join(folder, 'several')
        const index = await writeOciLayout(several, 'v1', [MIB, 1000], ['amd64', 'arm64', 'riscv64'])
        await copy(`oci:${several}:v1`, at('suite/several:v1'), '--all')
        await copy(at('suite/several:v1'), `oci:${join(folder, 'several-back')}:v1`, '--all')
        const raw = await skopeo('inspect', '--raw', '--tls-verify=false', at('suite/several:v1'))
        const found = `sha256:${createHash('sha256').update(raw).digest('hex')}`
        return found === index && same(await blobs(join(folder, 'several-back')), await blobs(several))
      })
      await checks.that('four pushes at once', async () => {
        const digests = await Promise.all(
          [1, 2, 3, 4].map(async (index) => {
            const own = join(folder, `own-${index}`)
            const wanted = await writeOciLayout(own, 'v1', [4 * MIB, 1000])
            await copy(`oci:${own}:v1`, at(`suite/own-${index}:v1`))
            return (await digestAt(at(`suite/own-${index}:v1`))) === wanted
          }),
        )
        return digests.every(Boolean)
      })
      await checks.that('a part of a layer', async () => {
        const { layers } = JSON.parse(await readFile(join(image, 'blobs', digest.replace(':', '/')), 'utf8'))
        const whole = await readFile(join(image, 'blobs', layers[0].digest.replace(':', '/')))
        const part = await visit(`${url}/v2/suite/image/blobs/${layers[0].digest}`, {
          headers: { range: 'bytes=1000-999999' },
        })
        return part.status === 206 && part.body.equals(whole.subarray(1000, 1_000_000))
      })
      await checks.that('an image that is removed is gone', async () => {
        await skopeo('delete', '--tls-verify=false', at('suite/other:v1'))
        return (await failure(env, 'inspect', '--tls-verify=false', at('suite/other:v1'))).includes('manifest unknown')
      })
      await checks.that('an image that was never there', async () => {
        return /name unknown|manifest unknown/.test(
          await failure(env, 'inspect', '--tls-verify=false', at('suite/none:v1')),
        )
      })
      return checks.outcomes
    } finally {
      await server.stop()
    }
  },
}

async function startRegistry(folder: string) {
  const config = join(folder, 'registry.json')
  await mkdir(join(folder, 'registry'))
  // JSON is YAML too.
  const settings = {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'registry') }, delete: { enabled: true } },
    http: { addr: '127.0.0.1:0' },
  }
  await writeFile(config, JSON.stringify(settings))
  return startServer(unpackedPath('docker-registry', 'usr/bin/docker-registry'), ['serve', config], { cwd: folder })
}

/** What skopeo prints when it fails. @throws Error if it does not */
async function failure(env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> {
  const { code, output } = await tryCommand('skopeo', ['--insecure-policy', ...args], { env, deadlineMs: DEADLINE_MS })
  if (code === 0) throw new Error(`skopeo ${args.join(' ')} has not failed: ${output}`)
  return output
}

/** Name and size of each; a name is the digest, which skopeo checks. */
async function blobs(layout: string): Promise<string[]> {
  const folder = join(layout, 'blobs', 'sha256')
  const names = await readdir(folder)
  return Promise.all(names.sort().map(async (name) => `${name} ${(await readFile(join(folder, name))).length}`))
}

function same(found: readonly string[], expected: readonly string[]): boolean {
  if (found.join('\n') === expected.join('\n')) return true
  throw new Error(`${found.join(', ')} is not ${expected.join(', ')}`)
}

test('skopeo: images pass through the tunnel as they do without it', (context) => sameThroughTunnel(suite, context))
