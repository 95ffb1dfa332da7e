import { Match, type Template } from 'aws-cdk-lib/assertions'
import { describe, expect, test } from 'vitest'
import { CONTEXTS, onlyProperties, synthesised } from './testing/synthesised.ts'

const plain = synthesised('no context').template.data
const withDomain = synthesised('a domain').template.data
const dualStack = synthesised('dual stack and everything else').template.data
const prebuilt = synthesised('a prebuilt image').template.data
const ALL: [string, Template][] = CONTEXTS.map((name) => [name, synthesised(name).template.data])

const properties = (template: Template, type: string) =>
  Object.values(template.findResources(type)).map(({ Properties }) => Properties)
const attributes = (list: { Key: string; Value: string }[]) =>
  Object.fromEntries(list.map(({ Key, Value }) => [Key, Value]))

describe('the network', () => {
  test('has no NAT gateway, which would cost more than all the rest: two public subnets', () => {
    plain.resourceCountIs('AWS::EC2::NatGateway', 0)
    plain.resourceCountIs('AWS::EC2::Subnet', 2)
    plain.allResourcesProperties('AWS::EC2::Subnet', { MapPublicIpOnLaunch: true })
  })

  test('reaches the table and the image by gateway endpoints, which cost nothing', () => {
    const services = properties(plain, 'AWS::EC2::VPCEndpoint').map(({ ServiceName, VpcEndpointType }) => [
      ServiceName['Fn::Join'][1].at(-1),
      VpcEndpointType,
    ])
    expect(services).toEqual([
      ['.dynamodb', 'Gateway'],
      ['.s3', 'Gateway'],
    ])
  })

  test.each(ALL)('brings no function of its own along (%s)', (_name, template) => {
    template.resourceCountIs('AWS::Lambda::Function', 0)
  })
})

describe('the balancer', () => {
  const LOAD_BALANCER = 'AWS::ElasticLoadBalancingV2::LoadBalancer'
  const LISTENER = 'AWS::ElasticLoadBalancingV2::Listener'

  const TARGETS = 'AWS::ElasticLoadBalancingV2::TargetGroup'
  /** Balancer's port, protocol, and the task's port behind it. */
  const ways = (template: Template) => {
    const groups = template.findResources(TARGETS)
    return properties(template, LISTENER)
      .map(({ Port, Protocol, DefaultActions: [{ TargetGroupArn }] }) => [
        Port,
        Protocol,
        groups[TargetGroupArn.Ref]!.Properties.Port,
      ])
      .sort((a, b) => a[0] - b[0])
  }

  test('without a domain takes visitors by http and agents, and has no certificate to speak TLS with', () => {
    expect(ways(plain)).toEqual([
      [80, 'TCP', 8080],
      [7000, 'TCP', 7000],
    ])
  })

  test('with a domain ends TLS for visitors, sends those who came by http there, and takes agents', () => {
    expect(ways(withDomain)).toEqual([
      [80, 'TCP', 8081],
      [443, 'TLS', 8080],
      [7000, 'TCP', 7000],
    ])
  })

  test('takes agents on the port of the context; the task listens on 7000 all the same', () => {
    expect(ways(dualStack)).toContainEqual([7443, 'TCP', 7000])
  })

  test('prefers HTTP/2 by ALPN, which gRPC clients insist on: the data plane takes it in clear, by its preface, and HTTP/1.1 beside it', () => {
    withDomain.hasResourceProperties(LISTENER, {
      Port: 443,
      AlpnPolicy: ['HTTP2Preferred'],
      SslPolicy: 'ELBSecurityPolicy-TLS13-1-2-2021-06',
      Certificates: [{ CertificateArn: Match.anyValue() }],
    })
  })

  test.each(ALL)(
    'forgets a silent flow after 350 s, on every TCP listener: the channel pings every 10 s (%s)',
    (_name, template) => {
      for (const { Protocol, ListenerAttributes } of properties(template, LISTENER)) {
        const idle = attributes(ListenerAttributes ?? [])['tcp.idle_timeout.seconds']
        // Fixed to the same value on TLS listeners.
        expect(idle).toBe(Protocol === 'TCP' ? '350' : undefined)
      }
    },
  )

  test.each(ALL)(
    'writes a PROXY v2 header and keeps no client address, which breaks hairpins and reuses ports (%s)',
    (_name, template) => {
      for (const { TargetGroupAttributes, TargetType } of properties(template, TARGETS)) {
        expect(TargetType).toBe('ip')
        expect(attributes(TargetGroupAttributes)).toMatchObject({
          'proxy_protocol_v2.enabled': 'true',
          'preserve_client_ip.enabled': 'false',
        })
      }
    },
  )

  test.each(ALL)(
    'cuts no flow of an unhealthy target: a slow answer would cut 1,000 tunnels (%s)',
    (_name, template) => {
      for (const { TargetGroupAttributes } of properties(template, TARGETS)) {
        const key = 'target_health_state.unhealthy.connection_termination.enabled'
        expect(attributes(TargetGroupAttributes)[key]).toBe('false')
      }
    },
  )

  test.each(ALL)(
    'cuts no flow of a leaving target: ECS deregisters before SIGTERM, and agents would get no GOAWAY (%s)',
    (_name, template) => {
      for (const { TargetGroupAttributes } of properties(template, TARGETS)) {
        const key = 'deregistration_delay.connection_termination.enabled'
        expect(attributes(TargetGroupAttributes)[key]).toBe('false')
      }
    },
  )

  test('has forgotten a leaving task before its process ends: 30 s and 110 s against the 120 s in which flows still come', () => {
    const [{ TargetGroupAttributes }] = properties(plain, TARGETS) as [{ TargetGroupAttributes: [] }]
    const delay = Number(attributes(TargetGroupAttributes)['deregistration_delay.timeout_seconds'])
    expect(delay).toBe(30)
    expect(delay + 110).toBeGreaterThan(120)
  })

  test.each(ALL)(
    'asks /readyz on the port of health, so that a draining task gets nothing new (%s)',
    (_name, template) => {
      for (const group of properties(template, TARGETS)) {
        expect(group).toMatchObject({
          HealthCheckProtocol: 'HTTP',
          HealthCheckPort: '9000',
          HealthCheckPath: '/readyz',
          Matcher: { HttpCode: '200' },
        })
      }
    },
  )

  test.each(ALL)('reaches the tasks of both zones from either one (%s)', (_name, template) => {
    expect(attributes(onlyProperties(template, LOAD_BALANCER).LoadBalancerAttributes as [])).toMatchObject({
      'load_balancing.cross_zone.enabled': 'true',
    })
    for (const { TargetGroupAttributes } of properties(template, TARGETS)) {
      const set = attributes(TargetGroupAttributes)
      expect(set['load_balancing.cross_zone.enabled']).toBe('true')
      expect(set).not.toHaveProperty('stickiness.enabled', 'true')
    }
  })

  test.each(ALL)('is made with its security group: it takes one at its creation or never (%s)', (_name, template) => {
    expect(onlyProperties(template, LOAD_BALANCER).SecurityGroups).toHaveLength(1)
  })

  test('without a domain stands on the fixed addresses, one in each zone: the base name is made of the first', () => {
    const { SubnetMappings, IpAddressType } = onlyProperties(plain, LOAD_BALANCER)
    expect(SubnetMappings).toEqual([1, 2].map(() => ({ AllocationId: expect.anything(), SubnetId: expect.anything() })))
    expect(IpAddressType).toBe('ipv4')
  })

  test('is IPv4 alone unless dualStack says so: then balancer, network and record are both', () => {
    const records = (template: Template) =>
      properties(template, 'AWS::Route53::RecordSet').map(({ Name, Type }) => `${Name} ${Type}`)
    expect(onlyProperties(withDomain, LOAD_BALANCER).IpAddressType).toBe('ipv4')
    expect(records(withDomain)).toEqual(['*.tunnel.example.com. A'])
    expect(onlyProperties(dualStack, LOAD_BALANCER).IpAddressType).toBe('dualstack')
    expect(records(dualStack)).toEqual(['*.tunnel.example.com. A', '*.tunnel.example.com. AAAA'])
    dualStack.resourceCountIs('AWS::EC2::VPCCidrBlock', 1)
    withDomain.resourceCountIs('AWS::EC2::VPCCidrBlock', 0)
  })
})

interface Rule {
  readonly CidrIp?: string
  readonly CidrIpv6?: string
  readonly SourceSecurityGroupId?: { 'Fn::GetAtt': [string] }
  readonly ToPort: number
}

describe('who may reach whom', () => {
  const groupOf = (template: Template, description: string) =>
    Object.entries(template.findResources('AWS::EC2::SecurityGroup')).find(
      ([, { Properties }]) => Properties.GroupDescription === description,
    )!
  /** `source>port` of everything that is let into the group of this description. */
  const ingress = (template: Template, description: string) => {
    const [id, { Properties }] = groupOf(template, description)
    const own = (Properties.SecurityGroupIngress ?? []).map(sourceAndPort)
    const others = properties(template, 'AWS::EC2::SecurityGroupIngress')
      .filter(({ GroupId }) => GroupId['Fn::GetAtt'][0] === id)
      .map(sourceAndPort)
    return [...own, ...others].sort()

    function sourceAndPort(rule: Rule): string {
      expect(rule).toMatchObject({ IpProtocol: 'tcp', FromPort: rule.ToPort })
      const from =
        rule.CidrIp ?? rule.CidrIpv6 ?? rule.SourceSecurityGroupId!['Fn::GetAtt'][0].replace(/[0-9A-F]{8}$/, '')
      return `${from}>${rule.ToPort}`
    }
  }
  const BALANCER = 'Postern: what reaches the balancer'
  const TASK = 'Postern: what reaches a task'

  test('the world reaches the balancer, on 80, 443 and the port of the channel', () => {
    expect(ingress(withDomain, BALANCER)).toEqual(['0.0.0.0/0>443', '0.0.0.0/0>7000', '0.0.0.0/0>80'])
    expect(ingress(plain, BALANCER)).toEqual(['0.0.0.0/0>7000', '0.0.0.0/0>80'])
  })

  test('only the balancer reaches a task, so that its PROXY header can be trusted, and on 7100 another task', () => {
    expect(ingress(withDomain, TASK)).toEqual([
      'BalancerGroup>7000',
      'BalancerGroup>8080',
      'BalancerGroup>8081',
      'BalancerGroup>9000',
      'TaskGroup>7100',
    ])
  })

  test.each(ALL)("nothing is in the network's default group, whose rules nobody restricts (%s)", (_name, template) => {
    const groups = [
      onlyProperties(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer').SecurityGroups,
      (onlyProperties(template, 'AWS::ECS::Service') as { NetworkConfiguration: { AwsvpcConfiguration: object } })
        .NetworkConfiguration.AwsvpcConfiguration,
    ]
    const own = Object.keys(template.findResources('AWS::EC2::SecurityGroup'))
    expect(own.filter((id) => JSON.stringify(groups).includes(id)).sort()).toEqual(own.sort())
    expect(own).toHaveLength(2)
    // Whatever else has an address in the network.
    const others = Object.values(template.toJSON().Resources as Record<string, { Type: string }>).filter(({ Type }) =>
      /::(NetworkInterface|Instance|DBInstance|FileSystem)$|Interface/.test(Type),
    )
    expect(others).toEqual([])
  })

  test('IPv6 is let in with dualStack alone', () => {
    expect(ingress(dualStack, BALANCER)).toContain('::/0>443')
    expect(ingress(withDomain, BALANCER).join()).not.toContain('::')
  })

  test('the balancer speaks to tasks alone', () => {
    expect(groupOf(plain, BALANCER)[1].Properties.SecurityGroupEgress ?? []).toEqual([])
    for (const { DestinationSecurityGroupId } of properties(plain, 'AWS::EC2::SecurityGroupEgress')) {
      expect(DestinationSecurityGroupId['Fn::GetAtt'][0]).toMatch(/^TaskGroup/)
    }
  })

  test('a task speaks to AWS, by https, and to tasks', () => {
    expect(groupOf(plain, TASK)[1].Properties.SecurityGroupEgress).toEqual([
      expect.objectContaining({ CidrIp: '0.0.0.0/0', IpProtocol: 'tcp', FromPort: 443, ToPort: 443 }),
    ])
  })
})

describe('the service', () => {
  const SERVICE = 'AWS::ECS::Service'
  const POLICY = 'AWS::ApplicationAutoScaling::ScalingPolicy'

  test('never has fewer tasks than before while it is replaced, and takes a version back that does not start', () => {
    plain.hasResourceProperties(SERVICE, {
      DeploymentConfiguration: {
        MinimumHealthyPercent: 100,
        MaximumPercent: 200,
        DeploymentCircuitBreaker: { Enable: true, Rollback: true },
      },
    })
  })

  test.each(ALL)(
    'rolls a version back that breaks requests, by alarms that ring for nothing else (%s)',
    (_name, template) => {
      const alarms = template.findResources('AWS::CloudWatch::Alarm')
      const { DeploymentConfiguration } = onlyProperties(template, SERVICE) as {
        DeploymentConfiguration: { Alarms: { AlarmNames: { Ref: string }[]; Enable: boolean; Rollback: boolean } }
      }
      const { AlarmNames, ...how } = DeploymentConfiguration.Alarms
      expect(how).toEqual({ Enable: true, Rollback: true })
      expect(AlarmNames.map(({ Ref }) => Ref).sort()).toEqual(Object.keys(alarms).sort())
      expect(AlarmNames.length).toBeGreaterThanOrEqual(2)
      for (const { Properties } of Object.values(alarms)) {
        // At the first deployment there is no data: it must not be rolled back.
        expect(Properties).toMatchObject({ TreatMissingData: 'notBreaching' })
        expect(Properties).not.toHaveProperty('AlarmActions')
      }
    },
  )

  test('is balanced over the zones again after the loss of one: a task is started before one is stopped', () => {
    plain.hasResourceProperties(SERVICE, {
      AvailabilityZoneRebalancing: 'ENABLED',
      DeploymentConfiguration: { MaximumPercent: 200 },
    })
  })

  test('runs on Fargate, none of it Spot: a base task that is taken away moves 1,000 agents', () => {
    plain.hasResourceProperties(SERVICE, { LaunchType: 'FARGATE', CapacityProviderStrategy: Match.absent() })
  })

  test('gives its tasks public addresses: without a NAT gateway there is no other way out', () => {
    plain.hasResourceProperties(SERVICE, {
      NetworkConfiguration: { AwsvpcConfiguration: { AssignPublicIp: 'ENABLED' } },
    })
  })

  test('says no count of tasks: a deployment would undo what scaling has done', () => {
    plain.hasResourceProperties(SERVICE, { DesiredCount: Match.absent() })
    plain.hasResourceProperties('AWS::ApplicationAutoScaling::ScalableTarget', { MinCapacity: 2, MaxCapacity: 10 })
    withDomain.hasResourceProperties('AWS::ApplicationAutoScaling::ScalableTarget', { MinCapacity: 2, MaxCapacity: 10 })
  })

  test('stands behind every target group, and waits for their listeners', () => {
    const [service] = Object.values(withDomain.findResources(SERVICE))
    const behind = service!.Properties.LoadBalancers.map((one: { ContainerPort: number }) => one.ContainerPort)
    expect(behind.sort()).toEqual([7000, 8080, 8081])
    const listeners = Object.keys(withDomain.findResources('AWS::ElasticLoadBalancingV2::Listener'))
    expect(service!.DependsOn).toEqual(expect.arrayContaining(listeners))
  })

  test.each([
    ['a quarter of a processor', 250, plain],
    ['a whole one', 1000, dualStack],
  ])('scales on tunnels per task: %s holds %i', (_size, tunnels, template) => {
    template.hasResourceProperties(POLICY, {
      PolicyType: 'TargetTrackingScaling',
      TargetTrackingScalingPolicyConfiguration: {
        CustomizedMetricSpecification: {
          Namespace: 'Postern',
          MetricName: 'Tunnels',
          Dimensions: [{ Name: 'Service', Value: 'data-plane' }],
          Statistic: 'Average',
        },
        TargetValue: tunnels,
      },
    })
  })

  test('scales on processor use above 60 %', () => {
    plain.hasResourceProperties(POLICY, {
      TargetTrackingScalingPolicyConfiguration: {
        PredefinedMetricSpecification: { PredefinedMetricType: 'ECSServiceAverageCPUUtilization' },
        TargetValue: 60,
      },
    })
  })

  test('gives a task up only after half an hour: each that goes moves its agents', () => {
    plain.allResourcesProperties(POLICY, {
      TargetTrackingScalingPolicyConfiguration: { ScaleInCooldown: 1800, ScaleOutCooldown: 60 },
    })
  })
})

interface Container {
  readonly Image: unknown
  readonly Memory: number
  readonly StopTimeout: number
  readonly HealthCheck: { Command: string[] }
  readonly Environment: { Name: string; Value: unknown }[]
  readonly Secrets: { Name: string }[]
  readonly PortMappings: { ContainerPort: number }[]
  readonly LogConfiguration: unknown
  readonly Ulimits: unknown
}

describe('the task', () => {
  const TASK = 'AWS::ECS::TaskDefinition'
  const container = (template: Template) => {
    const { ContainerDefinitions } = onlyProperties(template, TASK) as { ContainerDefinitions: Container[] }
    expect(ContainerDefinitions).toHaveLength(1)
    return ContainerDefinitions[0]!
  }

  test("has Fargate's longest time to stop: agents are told to go within 60 s, and the process ends at 110 s", () => {
    expect(container(plain).StopTimeout).toBe(120)
  })

  test('cannot write its file system, is not root and holds no capability', () => {
    expect(container(plain)).toMatchObject({
      ReadonlyRootFilesystem: true,
      User: '1000:1000',
      LinuxParameters: { Capabilities: { Drop: ['ALL'] } },
    })
  })

  test('is checked for being alive, not ready: a draining task must not be killed for it', () => {
    expect(container(plain).HealthCheck.Command.join(' ')).toMatch(/^CMD node -e .*\/healthz/)
  })

  test('is of the size of the context; its ceilings derive from the memory that the container is told', () => {
    plain.hasResourceProperties(TASK, { Cpu: '256', Memory: '512' })
    expect(container(plain).Memory).toBe(512)
    dualStack.hasResourceProperties(TASK, { Cpu: '1024', Memory: '2048' })
    expect(container(dualStack).Memory).toBe(2048)
  })

  test('is given the tunnels that have hosts below their names, where there are any', () => {
    const nested = (template: Template) =>
      container(template)
        .Environment.filter(({ Name }) => Name === 'POSTERN_NESTED_NAMES')
        .map(({ Value }) => Value)
    expect([nested(plain), nested(dualStack)]).toEqual([[], ['demo,shop']])
  })

  test('runs on the cheaper architecture unless told otherwise', () => {
    plain.hasResourceProperties(TASK, { RuntimePlatform: { CpuArchitecture: 'ARM64' } })
    dualStack.hasResourceProperties(TASK, { RuntimePlatform: { CpuArchitecture: 'X86_64' } })
  })

  test.each(ALL)(
    'insists on the PROXY header, and gets its keys from ECS: no right of its own to any secret (%s)',
    (_name, template) => {
      const { Environment, Secrets } = container(template)
      expect(Environment).toContainEqual({ Name: 'POSTERN_PROXY_PROTOCOL', Value: 'required' })
      expect(Secrets.map(({ Name }) => Name)).toEqual(['POSTERN_CHANNEL_SECRET', 'POSTERN_HOP_SECRET'])
    },
  )

  test.each(ALL)(
    'is told every port that the balancer connects to and that of the hop, and may be reached on no other (%s)',
    (_name, template) => {
      const { Environment, PortMappings } = container(template)
      const told = Environment.filter(({ Name }) => Name.endsWith('_PORT')).map(({ Value }) => Number(Value))
      const groups = properties(template, 'AWS::ElasticLoadBalancingV2::TargetGroup')
      const reached = new Set([7100, ...groups.flatMap(({ Port, HealthCheckPort }) => [Port, Number(HealthCheckPort)])])
      expect(new Set(told)).toEqual(reached)
      expect(new Set(PortMappings.map(({ ContainerPort }) => ContainerPort))).toEqual(reached)
    },
  )

  test('logs without ever waiting for the log, and for a month', () => {
    expect(container(plain).LogConfiguration).toMatchObject({
      LogDriver: 'awslogs',
      Options: { mode: 'non-blocking', 'max-buffer-size': '10485760b' },
    })
    plain.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 30 })
  })

  test('may hold 65,536 descriptors', () => {
    expect(container(plain).Ulimits).toEqual([{ Name: 'nofile', SoftLimit: 65_536, HardLimit: 65_536 }])
  })

  test('is a prebuilt image where there is one, which its role may pull and no other', () => {
    expect(JSON.stringify(container(prebuilt).Image)).toContain('postern:1.2.3')
    const pulls = properties(prebuilt, 'AWS::IAM::Policy')
      .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
      .filter(({ Action }) => Action.includes('ecr:BatchGetImage'))
    expect(pulls).toHaveLength(1)
    expect(JSON.stringify(pulls[0].Resource)).toContain(':ecr:eu-central-1:123456789012:repository/postern')
  })
})

test('the address of the channel is an output', () => {
  withDomain.hasOutput('ChannelAddress', { Value: 'channel.tunnel.example.com:7000' })
})
