/** The HTTP API before the Lambda: its routes, their throttles and the access log. */
import { type CallRate, callRateOf, OPERATIONS, type Operation, type OperationId } from '@postern/protocol/api'
import { OTHER_CALLS } from '@postern/protocol/limits'
import { RemovalPolicy, Validations } from 'aws-cdk-lib'
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway'
import {
  type CfnStage,
  HttpApi,
  HttpMethod,
  type HttpRoute,
  HttpStage,
  IpAddressType,
  LogGroupLogDestination,
  PayloadFormatVersion,
} from 'aws-cdk-lib/aws-apigatewayv2'
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations'
import type { IFunction } from 'aws-cdk-lib/aws-lambda'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'

/** No query, no header: nothing of a caller's but the path. */
const ACCESS_LOG = {
  requestId: '$context.requestId',
  time: '$context.requestTime',
  ip: '$context.identity.sourceIp',
  method: '$context.httpMethod',
  path: '$context.path',
  status: '$context.status',
  bytes: '$context.responseLength',
  ms: '$context.responseLatency',
  integrationMs: '$context.integrationLatency',
  error: '$context.error.message',
}

export interface ControlApiProps {
  readonly handler: IFunction
  readonly dualStack: boolean
  /** Whether the API has a domain of its own, beside which its own address would be a second front. */
  readonly hasDomain: boolean
}

export function controlApi(scope: Construct, { handler, dualStack, hasDomain }: ControlApiProps) {
  const api = new HttpApi(scope, 'Api', {
    apiName: 'postern',
    description: 'Postern: the control plane',
    ipAddressType: dualStack ? IpAddressType.DUAL_STACK : IpAddressType.IPV4,
    createDefaultStage: false,
    disableExecuteApiEndpoint: hasDomain,
  })
  const integration = new HttpLambdaIntegration('Lambda', handler, {
    // 2.0 gives the peer of the TCP connection as sourceIp; X-Forwarded-For is never read.
    payloadFormatVersion: PayloadFormatVersion.VERSION_2_0,
    // A statement for each route would be half of the 20 KB that a function's policy may have.
    scopePermissionToRoute: false,
  })
  // No catch-all: API Gateway answers unknown paths itself, and they cost neither an execution nor a token of a bucket.
  const routes: HttpRoute[] = []
  const routeSettings: Record<string, ReturnType<typeof throttleOf>> = {}
  for (const [id, { method, path }] of Object.entries(OPERATIONS) as [OperationId, Operation][]) {
    const methods = method === 'GET' ? [HttpMethod.GET, HttpMethod.HEAD] : [HttpMethod[method]]
    routes.push(...api.addRoutes({ path, methods, integration }))
    for (const each of methods) routeSettings[`${each} ${path}`] = throttleOf(callRateOf(id))
  }
  const accessLog = new LogGroup(scope, 'AccessLog', {
    retention: RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  const stage = new HttpStage(scope, 'Stage', {
    httpApi: api,
    stageName: '$default',
    autoDeploy: true,
    throttle: { rateLimit: OTHER_CALLS.perSecond, burstLimit: OTHER_CALLS.atOnce },
    accessLogSettings: {
      destination: new LogGroupLogDestination(accessLog),
      format: AccessLogFormat.custom(JSON.stringify(ACCESS_LOG)),
    },
  })
  const resource = stage.node.defaultChild as CfnStage
  resource.routeSettings = routeSettings
  // API Gateway refuses settings of a route that is not there yet.
  stage.node.addDependency(...routes)
  Validations.of(api).acknowledge({
    id: 'AwsSolutions-APIG4',
    reason:
      'Tokens are judged by the handler: an authorizer is a second cold start, and its cache would let a revoked token live on.',
  })
  return { api, stage }
}

/** As the template spells it: CloudFormation takes the map of route settings as it is. */
const throttleOf = ({ perSecond, atOnce }: CallRate) => ({
  ThrottlingRateLimit: perSecond,
  ThrottlingBurstLimit: atOnce,
})
