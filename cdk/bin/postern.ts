/** The deployment: which stacks there are. Account and region come from the command line's profile. */
import { App } from 'aws-cdk-lib'
import { StateStack } from '../lib/state-stack.ts'

const app = new App()
new StateStack(app, 'PosternState', { description: 'Postern: the table that everything else can be made again from' })
app.synth()
