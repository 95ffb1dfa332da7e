/** The checks of a run whose software has no names for them. Knows nothing of what they look at. */
import { type Outcomes, PASSED } from './suite.ts'

export class Checks {
  readonly #outcomes = new Map<string, string>()

  get outcomes(): Outcomes {
    return this.#outcomes
  }

  /** A check fails when `holds` answers false or throws; the next one is made all the same. */
  async that(name: string, holds: () => Promise<boolean>): Promise<void> {
    try {
      this.#outcomes.set(name, (await holds()) ? PASSED : 'not so')
    } catch (error) {
      this.#outcomes.set(name, error instanceof Error ? error.message : String(error))
    }
  }
}
