/** Holds the alarms that CloudWatch has against those of the template. */
import { expect } from 'vitest'
import * as z from 'zod/mini'
import { DATA, OPS, type Stand } from './stand.ts'

const metricSchema = z.object({
  Id: z.string(),
  Expression: z.optional(z.string()),
  MetricStat: z.optional(z.object({ Metric: z.object({ MetricName: z.string() }) })),
  ReturnData: z.boolean(),
})
const alarmSchema = z.object({
  AlarmName: z.string(),
  AlarmActions: z._default(z.array(z.unknown()), []),
  MetricName: z.optional(z.string()),
  Metrics: z._default(z.array(metricSchema), []),
})
const deployedAlarmsSchema = z.object({
  MetricAlarms: z.array(z.object({ AlarmName: z.string(), AlarmActions: z.array(z.string()), MetricName: z.string() })),
})

/**
 * The emulator refuses metric math: an alarm with it is judged on the template.
 * @returns how many alarms are deployed, and the names of those with metric math
 */
export async function expectAlarms({ aws, cdk, stacks }: Stand): Promise<{ deployed: number; math: string[] }> {
  const topic = (await stacks.resources(OPS)).find(({ ResourceType }) => ResourceType === 'AWS::SNS::Topic')!
  const all = deployedAlarmsSchema.parse(await aws('cloudwatch', 'describe-alarms')).MetricAlarms
  const alarmsOf = async (stack: string) =>
    Object.values(await cdk.template(stack))
      .filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm')
      .map(({ Properties }) => alarmSchema.parse(Properties))
  // ECS alone watches these, so they notify nobody.
  const ofDeployments = (await alarmsOf(DATA)).map(({ AlarmName }) => AlarmName)
  const isOfDeployments = ({ AlarmName }: { AlarmName: string }) => ofDeployments.includes(AlarmName)
  expect(all.filter(isOfDeployments).map(({ AlarmName, AlarmActions }) => [AlarmName, AlarmActions])).toEqual(
    expect.arrayContaining(ofDeployments.map((name) => [name, []])),
  )
  const deployed = all.filter((alarm) => !isOfDeployments(alarm))
  const synthesised = await alarmsOf(OPS)
  const math = synthesised.filter(({ Metrics }) => Metrics.some(({ Expression }) => Expression !== undefined))
  const plain = synthesised.filter((alarm) => !math.includes(alarm))
  expect(deployed.map(({ AlarmName, MetricName }) => [AlarmName, MetricName]).sort()).toEqual(
    plain
      .map(({ AlarmName, MetricName, Metrics }) => [AlarmName, MetricName ?? Metrics[0]?.MetricStat?.Metric.MetricName])
      .sort(),
  )
  for (const { AlarmActions } of deployed) expect(AlarmActions).toEqual([topic.PhysicalResourceId])
  for (const { AlarmName, AlarmActions, Metrics } of math) {
    expect([AlarmName, AlarmActions]).toEqual([AlarmName, [{ Ref: topic.LogicalResourceId }]])
    const [result, ...others] = Metrics.filter(({ ReturnData }) => ReturnData)
    expect([AlarmName, others]).toEqual([AlarmName, []])
    const known = Metrics.map(({ Id }) => Id)
    expect(known).toEqual(expect.arrayContaining(result!.Expression!.match(/\b[a-z]\w*/g) ?? []))
  }
  return { deployed: deployed.length, math: math.map(({ AlarmName }) => AlarmName) }
}
