import { readFileSync } from 'node:fs'
import { CURRENTLY_RECOMMENDED_FLAGS } from 'aws-cdk-lib/cx-api'
import { expect, test } from 'vitest'

const { context }: { context: Record<string, unknown> } = JSON.parse(
  readFileSync(new URL('../../cdk.json', import.meta.url), 'utf8'),
)

/** Why each differs: docs/decisions/0020-cdk-flags.md. */
const DIFFERENT = {
  '@aws-cdk/core:defaultCrossStackReferences': 'strong',
  '@aws-cdk/aws-ecs:disableExplicitDeploymentControllerForCircuitBreaker': false,
}

test('every flag that the CDK recommends to a new project is set as it recommends, but two', () => {
  const { 'cli-telemetry': _, ...flags } = context
  expect(flags).toEqual({ ...CURRENTLY_RECOMMENDED_FLAGS, ...DIFFERENT })
})

test('a flag that differs is one of those that are recommended otherwise', () => {
  for (const [flag, value] of Object.entries(DIFFERENT)) {
    expect(CURRENTLY_RECOMMENDED_FLAGS).toHaveProperty([flag], expect.anything())
    expect((CURRENTLY_RECOMMENDED_FLAGS as Record<string, unknown>)[flag]).not.toEqual(value)
  }
})
