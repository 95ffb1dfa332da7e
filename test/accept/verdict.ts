/** The result of one check. */

export interface Verdict {
  readonly outcome: 'passed' | 'failed' | 'not measurable'
  /** What was counted or measured, or the reason why it was not. */
  readonly detail: string
}

export const passed = (detail: string): Verdict => ({ outcome: 'passed', detail })
export const failed = (detail: string): Verdict => ({ outcome: 'failed', detail })
export const notMeasurable = (detail: string): Verdict => ({ outcome: 'not measurable', detail })

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
