/** The environment in which every tool of AWS speaks to the emulator, and to nothing else. */

/** Not the default of any tool: whatever forgets to ask for the region is found out. */
const REGION = 'eu-central-1'

/**
 * Twelve digits as access key are the account, on MiniStack and on LocalStack. It is the default one: a call of an API has no signature, and
 * MiniStack looks for the API nowhere else.
 */
const ACCOUNT = '000000000000'

const OTHERS = /^((AWS|CDK|POSTERN|TUNNEL)_|npm_config_(package|call)$)/

/**
 * The person's own variables, credentials and profiles are left behind; and what `npx -p … -c …` tells its children, or every npx
 * below it would do the same again.
 */
export function awsEnvironment(endpoint: string): Record<string, string> {
  const others = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !OTHERS.test(entry[0]),
  )
  return {
    ...Object.fromEntries(others),
    AWS_ENDPOINT_URL: endpoint,
    // Buckets by path: no name of a bucket would resolve.
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_ACCESS_KEY_ID: ACCOUNT,
    AWS_SECRET_ACCESS_KEY: 'emulated',
    AWS_CONFIG_FILE: '/nonexistent',
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    CDK_DISABLE_CLI_TELEMETRY: 'true',
  }
}
