/** The four stacks of a deployment, and what each is handed. Knows nothing of what is in them. */
import type { App } from 'aws-cdk-lib'
import type { Config } from './config.ts'
import { ControlStack } from './control-stack.ts'
import { DataStack } from './data-stack.ts'
import { OpsStack } from './ops-stack.ts'
import { StateStack } from './state-stack.ts'

export interface Deployment {
  readonly state: StateStack
  readonly control: ControlStack
  readonly data: DataStack
  readonly ops: OpsStack
}

/** Account and region come from the command line's profile. */
export function deployment(app: App, config: Config): Deployment {
  const state = new StateStack(app, 'PosternState', {
    config,
    description: 'Postern: what everything else can be made again from',
  })
  const control = new ControlStack(app, 'PosternControl', {
    config,
    state,
    description: 'Postern: tokens, names and tickets',
  })
  const data = new DataStack(app, 'PosternData', { config, state, description: 'Postern: visitors and channels' })
  // An order only, and no reference: tasks refuse tickets of a control plane that is older than they are (docs/protocol.md §1.1).
  data.addStackDependency(control)
  const ops = new OpsStack(app, 'PosternOps', {
    config,
    state,
    control,
    data,
    description: 'Postern: alarms and dashboard',
  })
  return { state, control, data, ops }
}
