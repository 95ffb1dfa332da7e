/** The same app with a domain of one's own. In another region, so that both deployments have the emulator for themselves. */
import { channelTicketSchema } from '@postern/protocol/ticket'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CONTROL, STATE, Stand } from './stand.ts'

const REGION = 'eu-west-1'
/** Below localhost, so that tokens may go there in clear: the emulator has no certificate that anybody trusts. */
const DOMAIN = 'postern.localhost'

let stand: Stand
let zoneId: string

beforeAll(async () => {
  stand = await Stand.start({
    ...(process.env as Record<string, string>),
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
  })
  zoneId = await stand.stacks.makeZone('PosternTestZone', DOMAIN)
  stand.undo(() => stand.stacks.remove('PosternTestZone'))
  await stand.cdk.synth({ domain: DOMAIN, zoneId })
  await stand.cdk.run('npx cdk bootstrap')
})

afterAll(() => stand?.stop())

test('with a domain the API answers at the base domain, and its tickets are for names below it', async () => {
  stand.undo(() => stand.stacks.remove(STATE))
  stand.undo(() => stand.stacks.remove(CONTROL))
  await stand.cdk.run(`npx cdk deploy ${STATE} ${CONTROL}`)
  const tableName = await stand.stacks.output(STATE, 'TableName')
  stand.undo(() => stand.removeTable(tableName))
  expect(await stand.stacks.output(CONTROL, 'ControlUrl')).toBe(`https://${DOMAIN}`)
  const types = (await stand.stacks.resources(CONTROL)).map(({ ResourceType }) => ResourceType)
  expect(types).toContain('AWS::Route53::RecordSet')

  const server = `http://${DOMAIN}:${new URL(stand.env.AWS_ENDPOINT_URL!).port}`
  const bootstrapped = await stand.tunnelAdmin(['bootstrap', '--table', tableName])
  expect(bootstrapped).toMatchObject({ code: 0 })
  const token = bootstrapped.stdout.trim()
  const asked = { username: 'admin', subdomain: 'demo' }
  const answer = await stand.call(server, 'POST', '/v1/tickets', token, asked)
  expect([answer.status, answer.body]).toEqual([200, expect.any(String)])
  expect(channelTicketSchema.parse(JSON.parse(answer.body))).toMatchObject({
    host: `channel.${DOMAIN}`,
    port: 7000,
    url: `https://demo.${DOMAIN}`,
  })
})
