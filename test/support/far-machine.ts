/**
 * A network namespace that is another machine, behind a router that can drop every packet without a word. Needs Linux and root. Knows nothing of
 * what runs there.
 */
import { spawnSync } from 'node:child_process'
import { networkInterfaces } from 'node:os'

export interface FarMachine {
  /** Its address, and ours as it sees it. */
  readonly address: string
  readonly here: string
  /** Put before a command, it runs there. */
  readonly prefix: readonly string[]
  /** Every packet between here and there is dropped from now on, both ways. */
  cut(): void
  mend(): void
  remove(): void
}

/** Why there can be none on this machine; undefined: there can. */
export function whyNoFarMachine(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are Linux’s'
  if (process.getuid?.() !== 0) return 'making a network namespace takes root'
  if (spawnSync('ip', ['netns', 'list']).status !== 0) return 'iproute2 is missing'
  try {
    startFarMachine().remove()
    return undefined
  } catch (error) {
    return `a network namespace cannot be made here: ${error instanceof Error ? error.message : error}`
  }
}

let made = 0

/** @throws Error what `ip` says */
export function startFarMachine(): FarMachine {
  made += 1
  const tag = `${(process.pid % 100_000).toString(36)}${made}`
  const [router, far] = [`postern-r-${tag}`, `postern-f-${tag}`]
  const [near, nearEnd, farEnd, farOwn] = [`pn${tag}`, `pr${tag}`, `ps${tag}`, `pf${tag}`]
  const net = freeNet()
  const [here, gateway, farGateway, address] = [1, 2, 5, 6].map((host) => `${net}.${host}`) as [
    string,
    string,
    string,
    string,
  ]
  const remove = (): void => {
    // A namespace takes its links with it, and those their other ends.
    for (const name of [router, far]) spawnSync('ip', ['netns', 'del', name])
  }
  try {
    ip(`netns add ${router}`)
    ip(`netns add ${far}`)
    ip(`link add ${near} type veth peer name ${nearEnd} netns ${router}`)
    ip(`link add ${farOwn} netns ${far} type veth peer name ${farEnd} netns ${router}`)
    ip(`addr add ${here}/30 dev ${near}`)
    ip(`link set ${near} up`)
    for (const [link, own] of [
      [nearEnd, gateway],
      [farEnd, farGateway],
    ]) {
      ip(`-n ${router} addr add ${own}/30 dev ${link}`)
      ip(`-n ${router} link set ${link} up`)
    }
    ip(`-n ${far} addr add ${address}/30 dev ${farOwn}`)
    ip(`-n ${far} link set ${farOwn} up`)
    ip(`-n ${far} link set lo up`)
    ip(`-n ${far} route add default via ${farGateway}`)
    ip(`route add ${net}.4/30 via ${gateway}`)
    ip(`netns exec ${router} sh -c`, 'echo 1 > /proc/sys/net/ipv4/ip_forward')
  } catch (error) {
    remove()
    throw error
  }
  // What a blackhole route forwards it drops, and tells nobody.
  const both = (change: 'add' | 'del'): void => {
    for (const end of [address, here]) ip(`-n ${router} route ${change} blackhole ${end}/32`)
  }
  return {
    address,
    here,
    prefix: ['ip', 'netns', 'exec', far],
    cut: () => both('add'),
    mend: () => both('del'),
    remove,
  }
}

function ip(words: string, ...more: string[]): void {
  const { status, stderr } = spawnSync('ip', [...words.split(' '), ...more], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${words}: ${stderr.trim()}`)
}

/** The first three numbers of a network that nobody on this machine has (RFC 2544 reserves 198.18.0.0/15 for tests like this). */
function freeNet(): string {
  const taken = Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? [])
  for (let third = 0; third < 256; third += 1) {
    const net = `198.19.${third}`
    if (!taken.some((address) => address.startsWith(`${net}.`))) return net
  }
  throw new Error('every network for tests is taken')
}
