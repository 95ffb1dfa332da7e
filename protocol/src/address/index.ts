/** The door of names and addresses. */
export { addressKey, type IpPolicy, type Loopback } from './address-key.ts'
export { type Network, NetworkList, parseNetwork } from './network.ts'
export { isBase, nestedName, parseSubdomain, type Subdomain, subdomainOf } from './subdomain.ts'
export { allowsSubdomain, isSubdomainPattern } from './subdomain-pattern.ts'
