/**
 * Every call of the control API as one table: where it is, who may make it, what it takes and answers. The service routes by
 * it, the OpenAPI document is made from it, and clients read answers with it. Knows nothing of how a call is carried out.
 */
import * as z from 'zod/mini'
import type { FaultCode } from '../fault.ts'
import { channelTicketSchema } from '../ticket/channel-ticket.ts'
import { accountSchema } from './account.ts'
import { auditPageSchema, auditQuerySchema } from './audit.ts'
import {
  reserveSubdomainSchema,
  subdomainsPageSchema,
  subdomainsQuerySchema,
  subdomainViewSchema,
} from './subdomains.ts'
import { ticketRequestSchema } from './ticket-request.ts'
import { createTokenSchema, newTokenSchema, tokensPageSchema, tokensQuerySchema } from './tokens.ts'
import { tunnelsPageSchema, tunnelsQuerySchema } from './tunnels.ts'
import { changeUserSchema, createUserSchema, usersPageSchema, usersQuerySchema, userViewSchema } from './users.ts'

export interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Parameters as OpenAPI writes them: `/v1/users/{username}`. */
  readonly path: string
  /** One sentence, for the document. */
  readonly summary: string
  /**
   * `anyone`: without a token. `token`: with any good one. `tunnel`, `admin`: with that scope. `owner`: with any good one,
   * which sees and changes what is its user's; an administrator's, what is anybody's.
   */
  readonly who: 'anyone' | 'token' | 'tunnel' | 'admin' | 'owner'
  readonly query?: z.ZodMiniType
  readonly body?: z.ZodMiniType
  readonly status: 200 | 201 | 204
  readonly answer?: z.ZodMiniType
  /** What it may be refused with beyond what every call may. */
  readonly faults: readonly FaultCode[]
  /** It changes something: done or refused, it leaves a row in the audit. */
  readonly audited?: true
}

const issueTicket = {
  method: 'POST',
  summary: 'Ask for a ticket, which opens one channel, once, within a minute, from the address that asked.',
  who: 'tunnel',
  body: ticketRequestSchema,
  status: 200,
  answer: channelTicketSchema,
  faults: [
    ...(['username-mismatch', 'subdomain-invalid', 'subdomain-reserved', 'subdomain-not-allowed'] as const),
    ...(['subdomain-taken', 'subdomain-quota', 'tunnel-quota', 'observation-refused'] as const),
  ],
} as const satisfies Omit<Operation, 'path'>

const reserving = ['subdomain-invalid', 'subdomain-reserved', 'subdomain-taken', 'subdomain-quota'] as const

export const OPERATIONS = {
  issueTicket: { ...issueTicket, path: '/v1/tickets' },
  issueTicketAtRoot: { ...issueTicket, path: '/', summary: 'The same as POST /v1/tickets.' },
  getMe: {
    method: 'GET',
    path: '/v1/me',
    summary: 'Whose token this is, and what it may do.',
    who: 'token',
    status: 200,
    answer: accountSchema,
    faults: [],
  },

  createToken: {
    method: 'POST',
    path: '/v1/tokens',
    summary:
      'Make a token; the answer is the only place where it is ever shown. Unless an administrator makes it, it ends with the token that asks at the latest.',
    who: 'owner',
    body: createTokenSchema,
    status: 201,
    answer: newTokenSchema,
    faults: ['subdomain-not-allowed', 'token-life-exceeded', 'not-found'],
    audited: true,
  },
  listTokens: {
    method: 'GET',
    path: '/v1/tokens',
    summary: 'Tokens, oldest first.',
    who: 'owner',
    query: tokensQuerySchema,
    status: 200,
    answer: tokensPageSchema,
    faults: [],
  },
  revokeToken: {
    method: 'DELETE',
    path: '/v1/tokens/{id}',
    summary: 'Revoke a token; its tunnels are cut within seconds.',
    who: 'owner',
    status: 204,
    faults: ['not-found'],
    audited: true,
  },
  rotateToken: {
    method: 'POST',
    path: '/v1/tokens/{id}/rotate',
    summary:
      'Make a token like this one, which itself ends a day later. Unless an administrator asks, the new one ends with the token that asks at the latest.',
    who: 'owner',
    status: 201,
    answer: newTokenSchema,
    faults: ['subdomain-not-allowed', 'not-found'],
    audited: true,
  },

  createUser: {
    method: 'POST',
    path: '/v1/users',
    summary: 'Make an account.',
    who: 'admin',
    body: createUserSchema,
    status: 201,
    answer: userViewSchema,
    faults: ['user-taken'],
    audited: true,
  },
  listUsers: {
    method: 'GET',
    path: '/v1/users',
    summary: 'Accounts, by name.',
    who: 'admin',
    query: usersQuerySchema,
    status: 200,
    answer: usersPageSchema,
    faults: [],
  },
  getUser: {
    method: 'GET',
    path: '/v1/users/{username}',
    summary: 'One account.',
    who: 'admin',
    status: 200,
    answer: userViewSchema,
    faults: ['not-found'],
  },
  changeUser: {
    method: 'PATCH',
    path: '/v1/users/{username}',
    summary: 'Change quotas or patterns of an account, or disable it, which cuts its tunnels within seconds.',
    who: 'admin',
    body: changeUserSchema,
    status: 200,
    answer: userViewSchema,
    faults: ['not-found'],
    audited: true,
  },
  deleteUser: {
    method: 'DELETE',
    path: '/v1/users/{username}',
    summary: 'Delete an account: its tokens are revoked, its tunnels cut, its names given back.',
    who: 'admin',
    status: 204,
    faults: ['not-found'],
    audited: true,
  },

  listSubdomains: {
    method: 'GET',
    path: '/v1/subdomains',
    summary: 'Reserved names, by name.',
    who: 'owner',
    query: subdomainsQuerySchema,
    status: 200,
    answer: subdomainsPageSchema,
    faults: [],
  },
  getSubdomain: {
    method: 'GET',
    path: '/v1/subdomains/{name}',
    summary: 'One reserved name.',
    who: 'owner',
    status: 200,
    answer: subdomainViewSchema,
    faults: ['not-found'],
  },
  reserveSubdomain: {
    method: 'PUT',
    path: '/v1/subdomains/{name}',
    summary: 'Reserve a name for good.',
    who: 'owner',
    body: reserveSubdomainSchema,
    status: 200,
    answer: subdomainViewSchema,
    faults: [...reserving, 'subdomain-not-allowed', 'not-found'],
    audited: true,
  },
  releaseSubdomain: {
    method: 'DELETE',
    path: '/v1/subdomains/{name}',
    summary:
      'Give a name back: a tunnel that uses it is disconnected, and for a week only its owner can have it again.',
    who: 'owner',
    status: 204,
    faults: ['not-found'],
    audited: true,
  },

  listTunnels: {
    method: 'GET',
    path: '/v1/tunnels',
    summary: 'Tunnels that are open now, by name.',
    who: 'owner',
    query: tunnelsQuerySchema,
    status: 200,
    answer: tunnelsPageSchema,
    faults: [],
  },
  disconnectTunnel: {
    method: 'DELETE',
    path: '/v1/tunnels/{subdomain}',
    summary: 'Cut the tunnel of a name; its agent may come back at once.',
    who: 'owner',
    status: 204,
    faults: ['not-found'],
    audited: true,
  },

  listAudit: {
    method: 'GET',
    path: '/v1/audit',
    summary: 'What was changed and which tickets were used on one day, oldest first.',
    who: 'admin',
    query: auditQuerySchema,
    status: 200,
    answer: auditPageSchema,
    faults: [],
  },

  getHealth: {
    method: 'GET',
    path: '/healthz',
    summary: 'Whether the service answers. The table is not asked.',
    who: 'anyone',
    status: 200,
    answer: z.object({ status: z.literal('ok') }),
    faults: [],
  },
  getOpenApi: {
    method: 'GET',
    path: '/openapi.json',
    summary: 'This document.',
    who: 'anyone',
    status: 200,
    answer: z.looseObject({ openapi: z.string() }),
    faults: [],
  },
} as const satisfies Record<string, Operation>

export type OperationId = keyof typeof OPERATIONS
