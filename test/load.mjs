/**
 * `npm run test:load [-- arguments for vitest]`: the faults that take a quiet machine, one file at a time. Where this user may make a
 * network namespace they run in one, in which a connection's buffers are small: thousands of stalled ones would otherwise use up the
 * TCP memory of the whole machine (tcp_mem), and what is measured would be the kernel. Knows nothing of the faults.
 */
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
/** Least, usual and most bytes, as tcp(7) has them. */
const BUFFERS = '4096 16384 16384'
const ENTER = [
  'ip link set lo up',
  `sysctl -qw net.ipv4.tcp_wmem="${BUFFERS}" net.ipv4.tcp_rmem="${BUFFERS}"`,
  'exec "$@"',
].join(' && ')

/** root may; anybody else may as root of a user namespace, if the system lets people make these. */
const namespace = [['--net'], ['--net', '--map-root-user']]
  .map((flags) => ['unshare', ...flags, 'sh', '-c', ENTER, 'sh'])
  .find(([program, ...args]) => spawnSync(program, [...args, 'true'], { stdio: 'ignore' }).status === 0)
if (namespace === undefined)
  console.log(
    'No network namespace could be made here (unshare, ip and sysctl of Linux, as root or with user namespaces): the faults share the ' +
      'machine’s TCP memory, which row 6 at its full size uses up.',
  )

/** By the Node that runs this file, and without npx, which under another npx looks for its packages where there is no network. */
const vitest = [
  process.execPath,
  'node_modules/vitest/vitest.mjs',
  'run',
  '--project',
  'load',
  ...process.argv.slice(2),
]
const [program, ...args] = [...(namespace ?? []), ...vitest]
spawn(program, args, { cwd: root, stdio: 'inherit' }).once('close', (status) => {
  process.exitCode = status ?? 1
})
