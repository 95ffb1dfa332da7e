/** Where alarms go. Knows nothing of what they are. */
import { Stack } from 'aws-cdk-lib'
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Topic } from 'aws-cdk-lib/aws-sns'
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions'
import type { Construct } from 'constructs'

/** There is one without an address too: what else should hear of alarms subscribes to it. */
export function alarmTopic(scope: Construct, email: string | undefined): Topic {
  // In clear: an alarm says a name and a number. With the key that AWS manages CloudWatch could not publish, and one of our own
  // costs a dollar a month.
  const topic = new Topic(scope, 'AlarmTopic', { displayName: 'Postern alarms', enforceSSL: true })
  // A topic with a policy of its own (enforceSSL makes one) no longer has the one that lets the account's alarms in.
  topic.addToResourcePolicy(
    new PolicyStatement({
      actions: ['sns:Publish'],
      resources: [topic.topicArn],
      principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
    }),
  )
  if (email !== undefined) topic.addSubscription(new EmailSubscription(email))
  return topic
}
