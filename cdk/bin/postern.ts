/** The deployment, from the context of the command line. The only place that reads it. */
import { App } from 'aws-cdk-lib'
import { parseConfig } from '../lib/config.ts'
import { deployment } from '../lib/deployment.ts'

const app = new App()
deployment(app, parseConfig(app.node.getAllContext()))
app.synth()
