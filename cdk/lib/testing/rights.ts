/** What the policies of a template allow, judged as IAM does. Knows the operators that occur here, and refuses others. */
import type { Template } from 'aws-cdk-lib/assertions'

export interface Statement {
  readonly Effect: 'Allow' | 'Deny'
  readonly Action: string | readonly string[]
  readonly Resource: unknown
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>
}

interface Policy {
  readonly Roles: readonly { Ref: string }[]
  readonly PolicyDocument: { readonly Statement: readonly Statement[] }
}

/** Of every role of the template, by its logical id. Managed policies would be missed: there are none, which a test proves. */
export function rightsByRole(template: Template): Map<string, Statement[]> {
  const roles = new Map<string, Statement[]>(
    Object.keys(template.findResources('AWS::IAM::Role')).map((role) => [role, []]),
  )
  for (const { Properties } of Object.values(template.findResources('AWS::IAM::Policy'))) {
    const { Roles, PolicyDocument } = Properties as Policy
    for (const { Ref } of Roles) roles.get(Ref)!.push(...PolicyDocument.Statement)
  }
  return roles
}

export interface Call {
  /** `service:Action` */
  readonly action: string
  /** The partition keys that a call to the table names: none for a Scan or a call about the table itself. */
  readonly leadingKeys?: readonly string[]
}

/** Whether a call is allowed on whatever resource the statements name. */
export function allows(statements: readonly Statement[], call: Call): boolean {
  const applying = statements.filter((statement) => applies(statement, call))
  return applying.some(({ Effect }) => Effect === 'Allow') && !applying.some(({ Effect }) => Effect === 'Deny')
}

export const listOf = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : [value as T])

function applies({ Action, Condition = {} }: Statement, call: Call): boolean {
  return (
    listOf(Action).some((pattern) => isLike(call.action, pattern, 'i')) &&
    Object.entries(Condition).every(([operator, tests]) =>
      Object.entries(tests).every(([key, values]) => holds(operator, key, listOf(values), call)),
    )
  )
}

/** docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html */
function holds(operator: string, key: string, values: readonly string[], { leadingKeys = [] }: Call): boolean {
  if (key !== 'dynamodb:LeadingKeys') throw new Error(`no ${key} here`)
  // True for no value at all, which is why the next operator stands beside it.
  if (operator === 'ForAllValues:StringLike')
    return leadingKeys.every((one) => values.some((like) => isLike(one, like)))
  if (operator === 'Null') return values.every((value) => (value === 'true') === (leadingKeys.length === 0))
  throw new Error(`no ${operator} here`)
}

function isLike(text: string, pattern: string, flags = ''): boolean {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, flags).test(text)
}
