/** A network namespace in which a connection's buffers are small, as on a real path. */
import { spawnSync } from 'node:child_process'

/** Words before a command that run it in a namespace of its own, with its loopback; undefined where none can be made. @param bytes of each buffer */
export function inSmallBuffers(bytes: number): string[] | undefined {
  const enter = [
    'ip link set lo up',
    `sysctl -qw net.ipv4.tcp_wmem="4096 ${bytes} ${bytes}" net.ipv4.tcp_rmem="4096 ${bytes} ${bytes}"`,
    'exec "$@"',
  ].join(' && ')
  // root may; anybody else may as root of a user namespace, if the system lets people make these.
  return [['--net'], ['--net', '--map-root-user']]
    .map((flags) => ['unshare', ...flags, 'sh', '-c', enter, 'sh'])
    .find(([program, ...args]) => spawnSync(program!, [...args, 'true'], { stdio: 'ignore' }).status === 0)
}
