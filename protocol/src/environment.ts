/** Names of the environment variables that two rooms must agree on. Knows nothing of their values. */

export const ENV = {
  /** Name of the DynamoDB table. */
  table: 'POSTERN_TABLE',
  /** The base domain, without port: requests for it are the control plane's, one label below it is a tunnel. */
  base: 'POSTERN_BASE',
  /** How a tunnel is reached, with {subdomain} in it: https://{subdomain}.example.com */
  publicUrl: 'POSTERN_PUBLIC_URL',
  /** The tunnels that hosts below their names lead to, with commas between, because there is a certificate for `*.name.base`; * for all. Missing: all by http, none by https. */
  nestedNames: 'POSTERN_NESTED_NAMES',
  /** Where agents connect to; stands in the ticket. */
  channelHost: 'POSTERN_CHANNEL_HOST',
  channelPort: 'POSTERN_CHANNEL_PORT',
  /** The address that the port of agents is bound at: the first of the visitors' where it is missing. */
  channelAddress: 'POSTERN_CHANNEL_ADDRESS',
  /** Where visitors connect to. */
  publicHosts: 'POSTERN_PUBLIC_HOSTS',
  publicPort: 'POSTERN_PUBLIC_PORT',
  /** Where visitors who came by http are sent to https; nowhere where it is missing. */
  redirectPort: 'POSTERN_REDIRECT_PORT',
  /** Where other tasks connect to, and the `address` or `address:port` that they are told: the task's own private one unless given. */
  peerPort: 'POSTERN_PEER_PORT',
  peerAddress: 'POSTERN_PEER_ADDRESS',
  /** Health. */
  opsPort: 'POSTERN_OPS_PORT',
  /** required | optional | off: whether a PROXY header precedes each connection. */
  proxyProtocol: 'POSTERN_PROXY_PROTOCOL',
  /** Networks of the proxies in front of the service, with commas between: forwarded fields and PROXY headers are accepted from these alone. Missing: no forwarded field is accepted. */
  trustedProxies: 'POSTERN_TRUSTED_PROXIES',
  /** strict | observed | off: how a ticket's white list is compared. */
  ipPolicy: 'POSTERN_IP_POLICY',
  /** 1 where 127.0.0.1 and ::1 are the same machine's one address (the local system only). */
  loopbackIsOne: 'POSTERN_LOOPBACK_ONE',
  /** The channel secret as JSON {current, accepted[]}, the file that holds it, or its ARN in Secrets Manager. */
  channelSecret: 'POSTERN_CHANNEL_SECRET',
  channelSecretFile: 'POSTERN_CHANNEL_SECRET_FILE',
  channelSecretArn: 'POSTERN_CHANNEL_SECRET_ARN',
  /** The same for what tickets grant: the control plane's alone, of which nodes read the public half in the table. */
  grantSecret: 'POSTERN_GRANT_SECRET',
  grantSecretArn: 'POSTERN_GRANT_SECRET_ARN',
  /** The same for the hop between tasks. A task without it serves the tunnels that it holds, and no others. */
  hopSecret: 'POSTERN_HOP_SECRET',
  hopSecretFile: 'POSTERN_HOP_SECRET_FILE',
  hopSecretArn: 'POSTERN_HOP_SECRET_ARN',
  /** The service that the canary knocks at, as an agent is given it, and the ARN of the secret that holds its token. */
  canaryServer: 'POSTERN_CANARY_SERVER',
  canarySecretArn: 'POSTERN_CANARY_SECRET_ARN',
  /** host:port of a control plane on the same machine; requests for the base domain go there. */
  apex: 'POSTERN_APEX',
  /** Name of this task; made at start where it is missing. */
  taskId: 'POSTERN_TASK_ID',
  logLevel: 'POSTERN_LOG_LEVEL',
  /** emf | off: whether a task writes its metrics to standard output, in CloudWatch's embedded metric format. Off where it is missing. */
  metrics: 'POSTERN_METRICS',
  /** on | with-query | off: whether a task writes a line for each request to standard output, and whether queries, which may hold secrets, are in it. On where it is missing. */
  accessLog: 'POSTERN_ACCESS_LOG',
} as const
