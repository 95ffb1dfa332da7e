/** The findings that stay, each with its reason. A new entry needs a review: it lowers what the deployment is held to. */
import type { Finding } from './finding.ts'

export interface Accepted extends Pick<Finding, 'rule' | 'subject'> {
  readonly reason: string
}

export const ACCEPTED: readonly Accepted[] = [
  {
    rule: 'CKV_AWS_119',
    subject: 'AWS::DynamoDB::Table',
    reason:
      'DynamoDB encrypts with a key of its own. A customer key costs money for itself and for its calls, and a table whose key is deleted is lost.',
  },
  {
    rule: 'CKV_AWS_149',
    subject: 'AWS::SecretsManager::Secret',
    reason:
      'Secrets Manager encrypts with its key of the account. Two roles may read: that of the function and the one that starts tasks.',
  },
  {
    rule: 'CKV_AWS_158',
    subject: 'AWS::Logs::LogGroup',
    reason: 'CloudWatch Logs encrypts with a key of its own, and no log holds a secret.',
  },
  {
    rule: 'CKV_AWS_26',
    subject: 'AWS::SNS::Topic',
    reason: "CloudWatch cannot publish to a topic with SNS's own key, and the texts of alarms hold no secret.",
  },
  {
    rule: 'CKV_AWS_173',
    subject: 'AWS::Lambda::Function',
    reason: 'The environment holds names and addresses. The key is in Secrets Manager; the variable is its ARN.',
  },
  {
    rule: 'CKV_AWS_115',
    subject: 'AWS::Lambda::Function',
    reason:
      'The control plane has a reservation, unless the account is too small for one. The canary is started by its schedule alone, once a minute.',
  },
  {
    rule: 'CKV_AWS_116',
    subject: 'AWS::Lambda::Function',
    reason:
      'Calls of the control plane are synchronous, from the API: a failure is an answer, and no event is lost. A lost knock of the canary is a minute without data, which its alarm counts.',
  },
  {
    rule: 'CKV_AWS_117',
    subject: 'AWS::Lambda::Function',
    reason:
      'The control plane calls DynamoDB and Secrets Manager alone: in a VPC it would need endpoints that cost money, and reach the same. The canary has to come from outside.',
  },
  {
    rule: 'CKV_AWS_260',
    subject: 'AWS::EC2::SecurityGroup',
    reason: 'The balancer is the public entry point: visitors come by http, and with a domain are sent to https.',
  },
  {
    rule: 'CKV_AWS_91',
    subject: 'AWS::ElasticLoadBalancingV2::LoadBalancer',
    reason:
      "A network balancer logs TLS listeners only, without the tunnel, and needs a bucket. The tasks' access log has what matters.",
  },
  {
    rule: 'CKV_AWS_65',
    subject: 'AWS::ECS::Cluster',
    reason: 'Container Insights costs more than the tasks of a small deployment. The tasks report their own metrics.',
  },
  {
    rule: 'CKV2_AWS_71',
    subject: 'AWS::CertificateManager::Certificate',
    reason: 'Tunnels are names one label below the domain, made at any time: the wildcard is the product.',
  },
  {
    rule: 'W3005',
    subject: 'AWS::Lambda::Function',
    reason: "The dependency on the role's policies is meant, and the CDK writes the one on the role beside it.",
  },
  {
    rule: 'W6001',
    subject: 'Output',
    reason:
      'Without a domain the public names are made of the address that PosternState owns; each stack shows its own.',
  },
]
