/** What a suite is: somebody else's software, run once without the tunnel and once through it. Knows nothing of any one of them. */

/** How the software of one run comes to the server that it speaks to. */
export interface Way {
  readonly name: 'direct' | 'tunnel'
  /** Certificate of the front, in PEM, in an `https` suite. */
  readonly certificate?: string
  /**
   * Makes what listens on this port of 127.0.0.1 reachable. @returns where it is, without a path: `http://host:port`, or `https:`
   * @param agentArgs further arguments of the agent, where there is one
   */
  reach(port: number, agentArgs?: readonly string[]): Promise<string>
}

/** What each check came to: `passed`, or why not. The names are the software's own, where it has any. */
export type Outcomes = ReadonlyMap<string, string>

export const PASSED = 'passed'

export interface Suite {
  readonly name: string
  /** So many checks pass without the tunnel, or the run itself is broken. */
  readonly checks: number
  /** Base domain of its tunnels, for software that has rules of its own for `localhost`, which it is otherwise. Nobody but this machine's data plane knows it. */
  readonly base?: string
  /** A front takes visitors' TLS connections, both ways, and the tunnel's deployment has https URLs. With a `base`: OpenSSL accepts no wildcard directly below `localhost`. */
  readonly https?: boolean
  /** Installs what it needs. @returns what cannot be had and why; undefined when everything is there */
  install(): Promise<string | undefined>
  /** @param folder empty, and removed afterwards */
  run(way: Way, folder: string): Promise<Outcomes>
}
