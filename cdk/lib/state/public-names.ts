/** What the deployment is called from outside. Both planes are told by the same values, so that they cannot disagree. */

export interface PublicNames {
  /** The base domain: a tunnel is one label below it. */
  readonly base: string
  /** With {subdomain} in it. */
  readonly publicUrl: string
  /** Where agents open their channels; with one's own domain a label of it, because the base itself is the API's. */
  readonly channelHost: string
}

/** `channel` is a reserved name, so that no tunnel is ever called so. */
export const namesOfDomain = (domain: string): PublicNames => ({
  base: domain,
  publicUrl: `https://{subdomain}.${domain}`,
  channelHost: `channel.${domain}`,
})

/** Without a domain there is no certificate, and so no https. */
export const namesOfAddress = (base: string): PublicNames => ({
  base,
  publicUrl: `http://{subdomain}.${base}`,
  channelHost: base,
})
