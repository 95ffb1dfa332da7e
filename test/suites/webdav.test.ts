/** litmus, the test suite of the WebDAV community, against Apache's mod_dav. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { tryCommand } from '../support/run-command.ts'
import { commandPath, debianPackages, NAMES_LIBRARY } from './install.ts'
import { untilListening } from './listening.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'
import { PASSED, type Suite } from './suite.ts'

const MODULES = '/usr/lib/apache2/modules'

const litmus: Suite = {
  name: 'litmus',
  checks: 104,
  install: () =>
    debianPackages(
      ['litmus', 'apache2', `${MODULES}/mod_dav.so`, NAMES_LIBRARY],
      ['litmus', 'apache2-bin', 'libnss-wrapper'],
    ),
  async run(way, folder) {
    const apache = await startApache(folder)
    try {
      const url = await way.reach(apache.port)
      // litmus asks the C library for the address, which knows nothing of *.localhost by itself.
      const hosts = join(folder, 'hosts')
      await writeFile(hosts, `127.0.0.1 ${new URL(url).hostname}\n`)
      const { output } = await tryCommand('litmus', ['-k', `${url}/`], {
        cwd: folder,
        env: { ...process.env, LD_PRELOAD: NAMES_LIBRARY, NSS_WRAPPER_HOSTS: hosts },
        deadlineMs: 120_000,
      })
      return outcomes(output)
    } finally {
      await apache.stop()
    }
  },
}

/** A check's line begins ` 3. put_get...............`, and its word stands there or, behind a warning, on a line of dots alone. */
function outcomes(output: string): Map<string, string> {
  const found = new Map<string, string>()
  let suite = ''
  let check = ''
  for (const line of output.split(/[\r\n]+/)) {
    suite = /^-> running `(\w+)'/.exec(line)?.[1] ?? suite
    check = /^ ?(\d+\. \w+)/.exec(line)?.[1] ?? check
    const word = /^(?: ?\d+\. \w+| {4})\.* (pass|FAIL|SKIPPED)\b(.*)/.exec(line)
    if (word) found.set(`${suite} ${check}`, word[1] === 'pass' ? PASSED : `${word[1]}${word[2]}`)
  }
  return found
}

interface Apache {
  readonly port: number
  stop(): Promise<void>
}

async function startApache(folder: string): Promise<Apache> {
  const port = await freePort()
  await mkdir(join(folder, 'files'))
  // As root it leaves its rights behind, and then still has to write here.
  for (const path of [folder, join(folder, 'files')]) await chmod(path, 0o777)
  const modules = ['mpm_event', 'authz_core', 'dav', 'dav_fs']
  const user = process.getuid?.() === 0 ? ['User www-data', 'Group www-data'] : []
  await writeFile(
    join(folder, 'apache.conf'),
    [
      `ServerRoot ${folder}`,
      ...modules.map((module) => `LoadModule ${module}_module ${MODULES}/mod_${module}.so`),
      `Listen 127.0.0.1:${port}`,
      'ServerName localhost',
      'PidFile pid',
      'ErrorLog error.log',
      'DocumentRoot files',
      'DavLockDB lock',
      ...user,
      '<Directory />\nDav On\n</Directory>\n',
    ].join('\n'),
  )
  const process_: ChildProcess = spawn(commandPath('apache2')!, ['-f', join(folder, 'apache.conf'), '-DFOREGROUND'], {
    stdio: 'ignore',
  })
  const exited = once(process_, 'exit')
  await untilListening(port, process_)
  return {
    port,
    async stop() {
      process_.kill('SIGTERM')
      await exited
    },
  }
}

test('WebDAV: litmus finds through the tunnel what it finds without it', (context) =>
  sameThroughTunnel(litmus, context))
