/** What a task may do to the table, item by item. Knows nothing of who is given it. */
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'

/**
 * Calls by partition key, as the data plane's stores make them; a pattern may end in `*`. Names are read, to tell an agent that is away from a
 * name that nobody has. Accounts, their quotas and all lists (USER#, TOKENS, USERS, SUBS, RL#) are the control plane's alone: a task that is
 * taken over can neither make a token nor take a name. The audit of the control plane (AUDIT#) is none of its either: nodes have lists of their own.
 */
const MAY: Readonly<Record<string, readonly string[]>> = {
  'TICKET#*': ['GetItem', 'DeleteItem'],
  'ROUTE#*': ['GetItem', 'Query', 'UpdateItem'],
  'SUB#*': ['GetItem'],
  TUNNELS: ['PutItem', 'DeleteItem'],
  TASKS: ['Query', 'UpdateItem', 'DeleteItem'],
  'TOKEN#*': ['GetItem'],
  REVOKE: ['Query'],
  KEYS: ['GetItem'],
  'NODE-AUDIT#*': ['PutItem'],
}

export const tableAccess = (tableArn: string): PolicyStatement[] =>
  Object.entries(MAY).map(
    ([partition, calls]) =>
      new PolicyStatement({
        actions: calls.map((call) => `dynamodb:${call}`),
        resources: [tableArn],
        conditions: {
          'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': [partition] },
          // "For all values" holds for no values too.
          Null: { 'dynamodb:LeadingKeys': 'false' },
        },
      }),
  )
