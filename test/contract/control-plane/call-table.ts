/** Every operation once: a call that is carried out, and what of it can be refused in its own way. */
import { OPERATIONS, type OperationId } from '@postern/protocol/api'
import type { FaultCode } from '@postern/protocol/fault'
import type { Token } from '@postern/protocol/store'
import { Secret, tokenHash } from '@postern/protocol/ticket'
import { type Ask, type Deployment, deploy, grant } from './deployment.ts'
import { openTunnel } from './open-tunnel.ts'

/** ann and bob are users, root is an administrator. */
export interface World extends Deployment {
  ann: string
  bob: string
  root: string
  /** root's, for administration alone. */
  adminOnly: string
  /** A user, unless there is one, and a token of theirs. */
  give(username: string, changes?: Partial<Token>): Promise<string>
  /** Every token that was given. */
  given: string[]
  /** A name that nobody has used. */
  fresh(): string
}

type Part = Omit<Ask, 'method' | 'path' | 'body'> & { params?: Record<string, string>; query?: string; body?: object }
type Make = (world: World) => Promise<Part> | Part

export interface Row {
  /** Carried out as the document says: by a token that may, on something made for it. */
  good: Make
  /** Every field of another type. Only where the call takes a body. */
  wrong?: object
  /** Beyond the token's scopes. A call with a scope of its own needs none: it is made without that scope. */
  beyond?: Make
  /** On something of bob's, or, for an administrator, on something that is not there. */
  foreign?: { code: FaultCode; make: Make }
}

/** A call of `part` as the operation wants it. */
export function askOf(id: OperationId, { params = {}, query = '', ...ask }: Part): Ask {
  const { method, path } = OPERATIONS[id]
  return { ...ask, method, path: path.replace(/\{(\w+)\}/g, (_, name: string) => params[name] ?? '') + query }
}

export async function newWorld(): Promise<World> {
  const deployment = await deploy()
  const { stores } = deployment
  const scopes = (...of: string[]) => ({ scopes: new Set(of) })
  const given: string[] = []
  const give: World['give'] = async (username, changes) => {
    const text = await grant(stores, username, changes)
    given.push(text)
    return text
  }
  const ann = await give('ann')
  const bob = await give('bob')
  const root = await give('root', scopes('admin', 'tunnel'))
  const adminOnly = await give('root', scopes('admin'))
  for (const username of ['ann', 'bob']) await stores.users.update(username, { maxSubdomains: 1000, maxTunnels: 1000 })
  let names = 0
  const fresh = () => {
    names += 1
    return `name-${names}`
  }
  return { ...deployment, ann, bob, root, adminOnly, give, given, fresh }
}

export const idOf = async ({ stores }: Deployment, text: string): Promise<string> =>
  (await stores.tokens.find(tokenHash(new Secret(text))))?.tokenId ?? ''

/** A token of its own for one test. */
const tokenOf = async (world: World, username: string): Promise<{ id: string }> => ({
  id: await idOf(world, await world.give(username)),
})
const userOf = async ({ give, fresh }: World): Promise<{ username: string }> => {
  const username = fresh()
  await give(username)
  return { username }
}
const nameOf = async ({ stores, fresh, at }: World, username: string): Promise<{ name: string }> => {
  const name = fresh()
  await stores.reservations.reserve({ name, username, ephemeral: false, now: at.now, newId: () => name })
  return { name }
}
const tunnelOf = async ({ stores, fresh }: World, username: string): Promise<{ subdomain: string }> => {
  const subdomain = fresh()
  await openTunnel(stores, { name: subdomain, username })
  return { subdomain }
}

const ticket: Row = {
  good: ({ ann, fresh }) => ({ bearer: ann, body: { username: 'ann', subdomain: fresh() } }),
  wrong: { username: 1, subdomain: ['demo'], ephemeral: 'yes', observation: {} },
  foreign: {
    code: 'username-mismatch',
    make: ({ ann, fresh }) => ({ bearer: ann, body: { username: 'bob', subdomain: fresh() } }),
  },
}

export const ROWS: Record<OperationId, Row> = {
  issueTicket: ticket,
  issueTicketAtRoot: {
    ...ticket,
    foreign: {
      code: 'subdomain-taken',
      make: async (world) => {
        const { name } = await nameOf(world, 'bob')
        return { bearer: world.ann, body: { username: 'ann', subdomain: name } }
      },
    },
  },
  getMe: { good: ({ ann }) => ({ bearer: ann }) },

  createToken: {
    good: ({ ann }) => ({ bearer: ann, body: { label: 'laptop', subdomains: ['a*'], expiresInDays: 1 } }),
    wrong: { username: 1, label: [], scopes: 'tunnel', subdomains: 'a*', expiresInDays: '1' },
    beyond: ({ ann }) => ({ bearer: ann, body: { scopes: ['admin'] } }),
    foreign: { code: 'scope-missing', make: ({ ann }) => ({ bearer: ann, body: { username: 'bob' } }) },
  },
  listTokens: {
    good: ({ ann }) => ({ bearer: ann, query: '?limit=1' }),
    foreign: { code: 'scope-missing', make: ({ ann }) => ({ bearer: ann, query: '?username=bob' }) },
  },
  revokeToken: {
    good: async (world) => ({ bearer: world.ann, params: await tokenOf(world, 'ann') }),
    foreign: {
      code: 'not-found',
      make: async (world) => ({ bearer: world.ann, params: await tokenOf(world, 'bob') }),
    },
  },
  rotateToken: {
    good: async (world) => ({ bearer: world.ann, params: await tokenOf(world, 'ann') }),
    beyond: async (world) => {
      const bearer = await world.give('root')
      return { bearer, params: { id: await idOf(world, world.adminOnly) } }
    },
    foreign: {
      code: 'not-found',
      make: async (world) => ({ bearer: world.ann, params: await tokenOf(world, 'bob') }),
    },
  },

  createUser: {
    good: ({ root, fresh }) => ({ bearer: root, body: { username: fresh(), maxTunnels: 2 } }),
    wrong: { username: 1, subdomains: '*', maxSubdomains: '3', maxTunnels: 1.5 },
    foreign: { code: 'user-taken', make: ({ root }) => ({ bearer: root, body: { username: 'bob' } }) },
  },
  listUsers: { good: ({ root }) => ({ bearer: root }) },
  getUser: {
    good: ({ root }) => ({ bearer: root, params: { username: 'bob' } }),
    foreign: { code: 'not-found', make: ({ root }) => ({ bearer: root, params: { username: 'nobody' } }) },
  },
  changeUser: {
    good: async (world) => ({ bearer: world.root, params: await userOf(world), body: { disabled: true } }),
    wrong: { subdomains: [1], maxSubdomains: -1, maxTunnels: null, disabled: 'true' },
    foreign: { code: 'not-found', make: ({ root }) => ({ bearer: root, params: { username: 'nobody' }, body: {} }) },
  },
  deleteUser: {
    good: async (world) => ({ bearer: world.root, params: await userOf(world) }),
    foreign: { code: 'not-found', make: ({ root }) => ({ bearer: root, params: { username: 'nobody' } }) },
  },

  listSubdomains: {
    good: ({ ann }) => ({ bearer: ann }),
    foreign: { code: 'scope-missing', make: ({ ann }) => ({ bearer: ann, query: '?username=bob' }) },
  },
  getSubdomain: {
    good: async (world) => ({ bearer: world.ann, params: await nameOf(world, 'ann') }),
    foreign: {
      code: 'not-found',
      make: async (world) => ({ bearer: world.ann, params: await nameOf(world, 'bob') }),
    },
  },
  reserveSubdomain: {
    good: ({ ann, fresh }) => ({ bearer: ann, params: { name: fresh() }, body: {} }),
    wrong: { username: 1 },
    beyond: ({ ann, fresh }) => ({ bearer: ann, params: { name: fresh() }, body: { username: 'bob' } }),
    foreign: {
      code: 'subdomain-taken',
      make: async (world) => ({ bearer: world.ann, params: await nameOf(world, 'bob'), body: {} }),
    },
  },
  releaseSubdomain: {
    good: async (world) => ({ bearer: world.ann, params: await nameOf(world, 'ann') }),
    foreign: {
      code: 'not-found',
      make: async (world) => ({ bearer: world.ann, params: await nameOf(world, 'bob') }),
    },
  },

  listTunnels: {
    good: ({ ann }) => ({ bearer: ann }),
    foreign: { code: 'scope-missing', make: ({ ann }) => ({ bearer: ann, query: '?username=bob' }) },
  },
  disconnectTunnel: {
    good: async (world) => ({ bearer: world.ann, params: await tunnelOf(world, 'ann') }),
    foreign: {
      code: 'not-found',
      make: async (world) => ({ bearer: world.ann, params: await tunnelOf(world, 'bob') }),
    },
  },

  listAudit: { good: ({ root }) => ({ bearer: root }) },
  getHealth: { good: () => ({}) },
  getOpenApi: { good: () => ({}) },
}
