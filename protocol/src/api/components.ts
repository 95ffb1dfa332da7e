/** The schemas that have names of their own in the OpenAPI document, so that what is made from it has types of those names. */
import type * as z from 'zod/mini'
import { channelTicketSchema } from '../ticket/channel-ticket.ts'
import { accountSchema } from './account.ts'
import { auditPageSchema, auditViewSchema } from './audit.ts'
import { problemSchema } from './problem.ts'
import { reserveSubdomainSchema, subdomainsPageSchema, subdomainViewSchema } from './subdomains.ts'
import { ticketRequestSchema } from './ticket-request.ts'
import { createTokenSchema, newTokenSchema, tokensPageSchema, tokenViewSchema } from './tokens.ts'
import { tunnelsPageSchema, tunnelViewSchema } from './tunnels.ts'
import { changeUserSchema, createUserSchema, usersPageSchema, userViewSchema } from './users.ts'

type Named = Readonly<Record<string, z.ZodMiniType>>

export const REQUEST_COMPONENTS: Named = {
  TicketRequest: ticketRequestSchema,
  CreateToken: createTokenSchema,
  CreateUser: createUserSchema,
  ChangeUser: changeUserSchema,
  ReserveSubdomain: reserveSubdomainSchema,
}

export const ANSWER_COMPONENTS: Named = {
  ChannelTicket: channelTicketSchema,
  Account: accountSchema,
  Token: tokenViewSchema,
  NewToken: newTokenSchema,
  TokensPage: tokensPageSchema,
  User: userViewSchema,
  UsersPage: usersPageSchema,
  Subdomain: subdomainViewSchema,
  SubdomainsPage: subdomainsPageSchema,
  Tunnel: tunnelViewSchema,
  TunnelsPage: tunnelsPageSchema,
  AuditRow: auditViewSchema,
  AuditPage: auditPageSchema,
  Problem: problemSchema,
}
