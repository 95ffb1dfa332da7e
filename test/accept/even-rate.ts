/** Does something at an even rate, whether what was begun before has ended or not. */

export interface EvenRate {
  /** Begins nothing more, and waits for what is in progress. */
  stop(): Promise<void>
}

/** @param begin must not reject */
export function atEvenRate(perSecond: number, begin: () => Promise<void>): EvenRate {
  const inProgress = new Set<Promise<void>>()
  const timer = setInterval(() => {
    const begun = begin().finally(() => inProgress.delete(begun))
    inProgress.add(begun)
  }, 1000 / perSecond)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(inProgress)
    },
  }
}
