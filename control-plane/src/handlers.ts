/** Who carries out which operation. */
import { listAudit } from './audit/list-audit.ts'
import type { Handlers } from './call.ts'
import { getHealth } from './health.ts'
import { getMe } from './me.ts'
import { getOpenApi } from './openapi.ts'
import { getSubdomain, listSubdomains } from './subdomains/read-subdomains.ts'
import { releaseSubdomain } from './subdomains/release-subdomain.ts'
import { reserveSubdomain } from './subdomains/reserve-subdomain.ts'
import { issueTicket } from './tickets/issue-ticket.ts'
import { createToken } from './tokens/create-token.ts'
import { listTokens } from './tokens/list-tokens.ts'
import { revokeToken } from './tokens/revoke-token.ts'
import { rotateToken } from './tokens/rotate-token.ts'
import { disconnectTunnel } from './tunnels/disconnect-tunnel.ts'
import { listTunnels } from './tunnels/list-tunnels.ts'
import { changeUser } from './users/change-user.ts'
import { createUser } from './users/create-user.ts'
import { deleteUser } from './users/delete-user.ts'
import { getUser, listUsers } from './users/read-users.ts'

export const HANDLERS: Handlers = {
  issueTicket,
  issueTicketAtRoot: issueTicket,
  getMe,

  createToken,
  listTokens,
  revokeToken,
  rotateToken,

  createUser,
  listUsers,
  getUser,
  changeUser,
  deleteUser,

  listSubdomains,
  getSubdomain,
  reserveSubdomain,
  releaseSubdomain,

  listTunnels,
  disconnectTunnel,

  listAudit,

  getHealth,
  getOpenApi,
}
