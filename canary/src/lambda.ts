/** The canary behind a schedule: knocks once for each event, and writes one line of metrics. */
import { randomBytes } from 'node:crypto'
import { CANARY_KNOCK_MS } from '@postern/protocol/limits'
import { readSecret } from '@postern/protocol/store'
import { parseConfig } from './config.ts'
import { knock } from './knock.ts'
import { documentOf } from './metrics.ts'
import { visit } from './visit.ts'

/** The account has this one name, and the token opens no other (docs/operations.md). */
const SUBDOMAIN = 'canary'

const { server, secretArn } = parseConfig(process.env)
let token: string | undefined

export async function handler(): Promise<void> {
  const result = await knock({
    server,
    subdomain: SUBDOMAIN,
    token: async () => (token ??= (await readSecret(secretArn)).trim()),
    nonce: randomBytes(16).toString('hex'),
    visit,
    now: () => performance.now(),
    signal: AbortSignal.timeout(CANARY_KNOCK_MS),
  })
  // The token may have been replaced: the next knock reads it anew.
  if (!result.answered) token = undefined
  process.stdout.write(`${JSON.stringify(documentOf(result, Date.now()))}\n`)
}
