import { App } from 'aws-cdk-lib'
import { Match, Template } from 'aws-cdk-lib/assertions'
import { beforeAll, expect, test } from 'vitest'
import { StateStack } from './state-stack.ts'

const TABLE = 'AWS::DynamoDB::Table'
let stack: StateStack
let template: Template
beforeAll(() => {
  stack = new StateStack(new App(), 'PosternState')
  template = Template.fromStack(stack)
})

const expectProperties = (properties: object) => template.hasResourceProperties(TABLE, properties)

test('there is one table', () => {
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
  expect(stack.terminationProtection).toBe(true)
})
