/** The names of the settings that a deployed control plane reads, shared with the code that deploys it so that they cannot drift. */
export const CONTROL_ENV = {
  table: 'POSTERN_TABLE',
  /** The base domain; tunnels are one label below it. */
  base: 'POSTERN_BASE',
  /** A URL with `{subdomain}` in it. */
  publicUrl: 'POSTERN_PUBLIC_URL',
  channelHost: 'POSTERN_CHANNEL_HOST',
  channelPort: 'POSTERN_CHANNEL_PORT',
  ipPolicy: 'POSTERN_IP_POLICY',
  /** The secret with the deployment's channel keys: its ARN, or its text where there is no Secrets Manager. */
  channelKeysArn: 'POSTERN_CHANNEL_KEYS_ARN',
  channelKeys: 'POSTERN_CHANNEL_KEYS',
} as const
