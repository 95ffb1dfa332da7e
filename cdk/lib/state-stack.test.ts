import { parseDeploymentKeys } from '@postern/protocol/ticket'
import { Match } from 'aws-cdk-lib/assertions'
import { describe, expect, test } from 'vitest'
import { synthesised } from './testing/synthesised.ts'

const TABLE = 'AWS::DynamoDB::Table'
const SECRET = 'AWS::SecretsManager::Secret'
const plain = synthesised('no context')
const withDomain = synthesised('a domain').template.state
const template = plain.template.state

describe('the table', () => {
  const expectProperties = (properties: object) => template.hasResourceProperties(TABLE, properties)

  test('there is one', () => {
    template.resourceCountIs(TABLE, 1)
  })

  test('its keys are pk and sk, both text', () => {
    expectProperties({
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
      AttributeDefinitions: [
        { AttributeName: 'pk', AttributeType: 'S' },
        { AttributeName: 'sk', AttributeType: 'S' },
      ],
    })
  })

  test('it has no index', () => {
    expectProperties({ GlobalSecondaryIndexes: Match.absent(), LocalSecondaryIndexes: Match.absent() })
  })

  test('items go by their purgeAt', () => {
    expectProperties({ TimeToLiveSpecification: { AttributeName: 'purgeAt', Enabled: true } })
  })

  test('nothing is provisioned', () => {
    expectProperties({ BillingMode: 'PAY_PER_REQUEST', ProvisionedThroughput: Match.absent() })
  })

  test('any second of the last 35 days can be restored', () => {
    expectProperties({ PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true } })
  })

  test('it cannot be deleted by an API call', () => {
    expectProperties({ DeletionProtectionEnabled: true })
  })

  test('it stays when the stack goes, and when an update would replace it', () => {
    template.hasResource(TABLE, { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' })
  })

  test('the stack itself is protected', () => {
    expect(plain.state.terminationProtection).toBe(true)
  })
})

describe('the key secrets', () => {
  const drawn = Object.values(template.findResources(SECRET)).map(({ Properties }) => Properties.GenerateSecretString)

  test('there are three: neither plane holds a key of the other one alone', () => {
    expect(drawn).toHaveLength(3)
  })

  test('are drawn by Secrets Manager itself: no function, and no value in the template', () => {
    for (const { Properties } of Object.values(template.findResources(SECRET))) {
      expect(Properties).not.toHaveProperty('SecretString')
    }
    template.resourceCountIs('AWS::Lambda::Function', 0)
    template.resourceCountIs('AWS::CloudFormation::CustomResource', 0)
  })

  test.each(drawn)('leave just the sixteen hex digits of its alphabet, each place even and independent', (rule) => {
    expect(alphabet(rule)).toBe('0123456789abcdef')
    expect(rule.RequireEachIncludedType).toBe(false)
  })

  test.each(drawn)('are what the planes read: current of 64 hex digits, nothing else accepted', (rule) => {
    const letters = alphabet(rule)
    const current = Array.from({ length: rule.PasswordLength }, (_, i) => letters[(i * 7) % letters.length]).join('')
    // As the service does it: the drawn text becomes a member of the template.
    const text = JSON.stringify({ ...JSON.parse(rule.SecretStringTemplate), [rule.GenerateStringKey]: current })
    expect(parseDeploymentKeys(text)).toMatchObject({ accepted: [] })
    expect(current).toHaveLength(64)
  })

  /** docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html */
  function alphabet(rule: Record<string, unknown>): string {
    const kinds: [string, string][] = [
      ['ExcludeNumbers', '0123456789'],
      ['ExcludeLowercase', 'abcdefghijklmnopqrstuvwxyz'],
      ['ExcludeUppercase', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'],
      ['ExcludePunctuation', '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'],
    ]
    const all = kinds.map(([exclusion, letters]) => (rule[exclusion] === true ? '' : letters)).join('')
    const space = rule.IncludeSpace === true ? ' ' : ''
    return [...all, ...space].filter((letter) => !String(rule.ExcludeCharacters ?? '').includes(letter)).join('')
  }
})

describe('without a domain', () => {
  test('there are as many fixed addresses as the balancer has zones', () => {
    template.resourceCountIs('AWS::EC2::EIP', 2)
  })

  test('the base name is the first address with hyphens, below sslip.io', () => {
    const [first] = Object.keys(template.findResources('AWS::EC2::EIP'))
    const base = evaluate(template.findOutputs('Base').Base!.Value, { [first!]: '192.0.2.17' })
    expect(base).toBe('192-0-2-17.sslip.io')
  })

  test('there is no certificate', () => {
    template.resourceCountIs('AWS::CertificateManager::Certificate', 0)
  })
})

describe('with a domain', () => {
  test('one certificate serves both planes: the base domain and every name one label below', () => {
    withDomain.hasResourceProperties('AWS::CertificateManager::Certificate', {
      DomainName: 'tunnel.example.com',
      SubjectAlternativeNames: ['*.tunnel.example.com'],
      ValidationMethod: 'DNS',
      // One record proves both.
      DomainValidationOptions: [{ DomainName: 'tunnel.example.com', HostedZoneId: 'Z0123456789ABCDEFGHIJ' }],
    })
  })

  test('of nested names it has a wildcard each', () => {
    synthesised('dual stack and everything else').template.state.hasResourceProperties(
      'AWS::CertificateManager::Certificate',
      { SubjectAlternativeNames: ['*.tunnel.example.com', '*.demo.tunnel.example.com', '*.shop.tunnel.example.com'] },
    )
  })

  test('no address is held: the names are aliases of the balancer', () => {
    withDomain.resourceCountIs('AWS::EC2::EIP', 0)
  })

  test('the secrets are the same ones, or CloudFormation would draw new keys', () => {
    expect(withDomain.findResources(SECRET)).toEqual(template.findResources(SECRET))
  })
})

/** CloudFormation's intrinsic functions, as far as the base name uses them. */
function evaluate(value: unknown, refs: Record<string, string>): unknown {
  if (typeof value !== 'object' || value === null) return value
  const [[name, of] = []] = Object.entries(value)
  const args = Array.isArray(of)
    ? of.map((one) => (Array.isArray(one) ? one.map((v) => evaluate(v, refs)) : evaluate(one, refs)))
    : of
  if (name === 'Ref') return refs[args as string]
  if (name === 'Fn::Join') return (args[1] as string[]).join(args[0])
  if (name === 'Fn::Split') return String(args[1]).split(args[0])
  if (name === 'Fn::Select') return args[1][args[0]]
  throw new Error(`no ${name} here`)
}
