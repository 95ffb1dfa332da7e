/** An account as the API shows it. */
import type { UserView } from '@postern/protocol/api'
import type { User } from '@postern/protocol/store'

export const userView = (user: User): UserView => ({
  username: user.username,
  subdomains: [...(user.patterns ?? [])].sort(),
  maxSubdomains: user.maxSubdomains,
  maxTunnels: user.maxTunnels,
  heldSubdomains: Object.keys(user.subdomains).length,
  disabled: user.disabled,
  createdAt: new Date(user.createdAt).toISOString(),
})
