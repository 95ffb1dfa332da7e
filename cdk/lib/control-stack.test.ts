import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { callRateOf, OPERATIONS, type Operation, type OperationId } from '@postern/protocol/api'
import { FUNCTION_CONCURRENCY } from '@postern/protocol/limits'
import { Match } from 'aws-cdk-lib/assertions'
import { describe, expect, test } from 'vitest'
import { appOf, onlyProperties, synthesised } from './testing/synthesised.ts'

const OPERATION_LIST = Object.entries(OPERATIONS) as [OperationId, Operation][]
const plain = synthesised('no context').template.control
const withDomain = synthesised('a domain').template.control
const dualStack = synthesised('dual stack and everything else').template.control

describe('the function', () => {
  const FUNCTION = 'AWS::Lambda::Function'

  test('runs on nodejs24.x and arm64 with 512 MB: a quarter of a processor keeps the start short', () => {
    plain.hasResourceProperties(FUNCTION, { Runtime: 'nodejs24.x', Architectures: ['arm64'], MemorySize: 512 })
  })

  test('is the only one: no custom resource and no log retention brings a function along', () => {
    plain.resourceCountIs(FUNCTION, 1)
  })

  test('is told the same names as the data plane, and where its key is, never the key', () => {
    withDomain.hasResourceProperties(FUNCTION, {
      Environment: {
        Variables: {
          POSTERN_TABLE: Match.anyValue(),
          POSTERN_BASE: 'tunnel.example.com',
          POSTERN_PUBLIC_URL: 'https://{subdomain}.tunnel.example.com',
          POSTERN_CHANNEL_HOST: 'channel.tunnel.example.com',
          POSTERN_CHANNEL_PORT: '7000',
          POSTERN_IP_POLICY: 'observed',
          POSTERN_CHANNEL_SECRET_ARN: Match.anyValue(),
        },
      },
    })
    expect(JSON.stringify(withDomain.toJSON())).not.toContain('POSTERN_CHANNEL_SECRET"')
  })

  test('has executions of its own, or none where the account has too few', () => {
    plain.hasResourceProperties(FUNCTION, { ReservedConcurrentExecutions: FUNCTION_CONCURRENCY })
    plain.hasOutput('FunctionConcurrency', { Value: String(FUNCTION_CONCURRENCY) })
    dualStack.hasResourceProperties(FUNCTION, { ReservedConcurrentExecutions: Match.absent() })
    dualStack.hasOutput('FunctionConcurrency', { Value: 'none' })
  })

  test('and the API keep their logs for a month, not for ever', () => {
    plain.resourceCountIs('AWS::Logs::LogGroup', 2)
    plain.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 30 })
  })

  test("is bundled by this repository's esbuild, with the pinned SDK in it, whole in one file", () => {
    const { app, outdir } = appOf({ dataPlaneImage: 'example.com/postern:1' }, { bundle: true })
    app.synth()
    const [asset] = readdirSync(outdir).filter((name) => existsSync(join(outdir, name, 'index.mjs')))
    const code = readFileSync(join(outdir, asset!, 'index.mjs'), 'utf8')
    expect(code).toContain('dynamodb')
    expect(code).not.toMatch(/from\s*["']@aws-sdk/)
    expect(code).toMatch(/export\{.*\bhandler\b/s)
  }, 60_000)
})

describe('the API', () => {
  test('tells the function the peer of the connection: payload 2.0, X-Forwarded-For is never read', () => {
    plain.hasResourceProperties('AWS::ApiGatewayV2::Integration', { PayloadFormatVersion: '2.0' })
  })

  test('has a route for each operation, and none for other paths, which never reach the function', () => {
    const keys = Object.values(plain.findResources('AWS::ApiGatewayV2::Route')).map(
      ({ Properties }) => Properties.RouteKey,
    )
    const expected = OPERATION_LIST.flatMap(([, { method, path }]) =>
      method === 'GET' ? [`GET ${path}`, `HEAD ${path}`] : [`${method} ${path}`],
    )
    expect(keys.sort()).toEqual(expected.sort())
    plain.resourceCountIs('AWS::ApiGatewayV2::Integration', 1)
    plain.resourceCountIs('AWS::Lambda::Permission', 1)
  })

  test('throttles each route by itself: no flood of tickets takes calls from an administrator', () => {
    const { RouteSettings: settings } = onlyProperties(plain, 'AWS::ApiGatewayV2::Stage') as {
      RouteSettings: Record<string, { ThrottlingRateLimit: number; ThrottlingBurstLimit: number }>
    }
    const routes = Object.values(plain.findResources('AWS::ApiGatewayV2::Route'))
    expect(Object.keys(settings).sort()).toEqual(routes.map(({ Properties }) => Properties.RouteKey).sort())
    for (const [id, { method, path }] of OPERATION_LIST) {
      const { perSecond, atOnce } = callRateOf(id)
      expect(settings[`${method} ${path}`]).toEqual({ ThrottlingRateLimit: perSecond, ThrottlingBurstLimit: atOnce })
    }
    // The emulator and CloudFormation refuse settings of a route that is not there yet.
    const [stage] = Object.values(plain.findResources('AWS::ApiGatewayV2::Stage'))
    expect(stage!.DependsOn).toEqual(
      expect.arrayContaining(Object.keys(plain.findResources('AWS::ApiGatewayV2::Route'))),
    )
  })

  test('has no other address beside its domain', () => {
    withDomain.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: true })
    plain.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: false })
  })

  test('writes an access log of its own, without query and headers', () => {
    const { AccessLogSettings: log } = onlyProperties(plain, 'AWS::ApiGatewayV2::Stage')
    expect(log).toMatchObject({ DestinationArn: expect.anything() })
    const { Format } = log as { Format: string }
    expect(JSON.parse(Format)).toMatchObject({ ip: '$context.identity.sourceIp', requestId: '$context.requestId' })
    expect(Format).not.toMatch(/header|query|authorizer/i)
  })

  test('has no authorizer: it would be a second cold start, and its cache would delay a revocation', () => {
    plain.resourceCountIs('AWS::ApiGatewayV2::Authorizer', 0)
  })
})

describe('where it is found', () => {
  const records = (of: typeof plain) =>
    Object.values(of.findResources('AWS::Route53::RecordSet')).map(({ Properties }) => [
      Properties.Name,
      Properties.Type,
    ])

  test('without a domain at its own address, which is an output', () => {
    plain.resourceCountIs('AWS::ApiGatewayV2::DomainName', 0)
    plain.hasOutput('ControlUrl', { Value: { 'Fn::GetAtt': [Match.anyValue(), 'ApiEndpoint'] } })
  })

  test('with a domain at the base domain itself: a wildcard record never matches its apex', () => {
    withDomain.hasResourceProperties('AWS::ApiGatewayV2::DomainName', {
      DomainName: 'tunnel.example.com',
      DomainNameConfigurations: [{ EndpointType: 'REGIONAL', SecurityPolicy: 'TLS_1_2' }],
    })
    withDomain.resourceCountIs('AWS::ApiGatewayV2::ApiMapping', 1)
    expect(records(withDomain)).toEqual([['tunnel.example.com.', 'A']])
    withDomain.hasOutput('ControlUrl', { Value: 'https://tunnel.example.com' })
  })

  test('by IPv4 alone, API and name: mixed families make the white list refuse honest agents', () => {
    withDomain.hasResourceProperties('AWS::ApiGatewayV2::Api', { IpAddressType: 'ipv4' })
    withDomain.hasResourceProperties('AWS::ApiGatewayV2::DomainName', {
      DomainNameConfigurations: [{ IpAddressType: 'ipv4' }],
    })
  })

  test('by both families, API, name and record, where dualStack says so', () => {
    dualStack.hasResourceProperties('AWS::ApiGatewayV2::Api', { IpAddressType: 'dualstack' })
    dualStack.hasResourceProperties('AWS::ApiGatewayV2::DomainName', {
      DomainNameConfigurations: [{ IpAddressType: 'dualstack' }],
    })
    expect(records(dualStack)).toEqual([
      ['tunnel.example.com.', 'A'],
      ['tunnel.example.com.', 'AAAA'],
    ])
  })
})

test('is handed the channel port and the policy of the context', () => {
  dualStack.hasResourceProperties('AWS::Lambda::Function', {
    Environment: { Variables: { POSTERN_CHANNEL_PORT: '7443', POSTERN_IP_POLICY: 'strict' } },
  })
})
