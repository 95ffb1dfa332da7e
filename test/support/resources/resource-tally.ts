/** Row 20 of docs/reliability.md, over the whole run: how many tasks were looked at, and held nothing more. */
import { RunTally } from '../run-tally.ts'

/** Of one system. */
interface Looked {
  readonly tasks: number
}

export const resourceTally = new RunTally<Looked>({
  row: 20,
  variable: 'POSTERN_RESOURCE_TALLY',
  summarise(systems) {
    const tasks = systems.reduce((sum, system) => sum + system.tasks, 0)
    return `${tasks.toLocaleString('en')} tasks of ${systems.length} systems were back at their base when visitors and agents had gone: no visitor, stream, held byte, channel, timer or descriptor was left`
  },
})

export default resourceTally.setUp
