/** A knock as one line of CloudWatch's embedded metric format. Knows nothing of how it came about. */
import { CANARY_METRIC, METRIC_NAMESPACE, type MetricName, SERVICE } from '@postern/protocol/metrics'
import type { Knock } from './knock.ts'

const directive = ({ name, unit, by }: MetricName) => ({
  Namespace: METRIC_NAMESPACE,
  Dimensions: [by],
  Metrics: [{ Name: name, Unit: unit }],
})

/** Step and code are no dimensions: each of their values would be a metric that costs money, and one line is enough to read. */
export function documentOf(knock: Knock, now: number): object {
  const { answered, time } = CANARY_METRIC
  const directives = [directive(answered), ...(knock.answered ? [directive(time)] : [])]
  return {
    _aws: { Timestamp: now, CloudWatchMetrics: directives },
    Service: SERVICE.canary,
    [answered.name]: knock.answered ? 1 : 0,
    ...(knock.answered
      ? { [time.name]: Math.round(knock.ms), openMs: Math.round(knock.openMs) }
      : { step: knock.step, code: knock.fault.code, detail: knock.fault.message }),
  }
}
