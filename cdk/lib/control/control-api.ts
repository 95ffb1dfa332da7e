/** The HTTP API before the Lambda: its stage, throttle and access log. Knows nothing of domains. */
import { RemovalPolicy, Validations } from 'aws-cdk-lib'
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway'
import {
  HttpApi,
  HttpStage,
  IpAddressType,
  LogGroupLogDestination,
  PayloadFormatVersion,
} from 'aws-cdk-lib/aws-apigatewayv2'
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations'
import type { IFunction } from 'aws-cdk-lib/aws-lambda'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'

/** Every agent asks for a new ticket within a minute of a deployment: 10,000 of them are 170 a second, and more in the first. */
const THROTTLE = { rateLimit: 500, burstLimit: 1000 }

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

export function controlApi(scope: Construct, { handler, dualStack }: { handler: IFunction; dualStack: boolean }) {
  const api = new HttpApi(scope, 'Api', {
    apiName: 'postern',
    description: 'Postern: the control plane',
    ipAddressType: dualStack ? IpAddressType.DUAL_STACK : IpAddressType.IPV4,
    createDefaultStage: false,
    // 2.0 tells the peer of the TCP connection as sourceIp; X-Forwarded-For is never read.
    defaultIntegration: new HttpLambdaIntegration('Lambda', handler, {
      payloadFormatVersion: PayloadFormatVersion.VERSION_2_0,
    }),
  })
  const accessLog = new LogGroup(scope, 'AccessLog', {
    retention: RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  const stage = new HttpStage(scope, 'Stage', {
    httpApi: api,
    stageName: '$default',
    autoDeploy: true,
    throttle: THROTTLE,
    accessLogSettings: {
      destination: new LogGroupLogDestination(accessLog),
      format: AccessLogFormat.custom(JSON.stringify(ACCESS_LOG)),
    },
  })
  Validations.of(api).acknowledge({
    id: 'AwsSolutions-APIG4',
    reason:
      'Tokens are judged by the handler: an authorizer is a second cold start, and its cache would let a revoked token live on.',
  })
  return { api, stage }
}
