/** The deployment, from the context of the command line. The only place that reads it. */
import { TunnelFault } from '@postern/protocol/fault'
import { App } from 'aws-cdk-lib'
import { parseConfig } from '../lib/config.ts'
import { deployment } from '../lib/deployment.ts'

try {
  const app = new App()
  deployment(app, parseConfig(app.node.getAllContext()))
  app.synth()
} catch (error) {
  // What somebody has mistyped is no matter of ours: no trace of where we found it.
  if (!(error instanceof TunnelFault)) throw error
  process.stderr.write(`${error.code}: ${error.message} ${error.advice}\n`)
  process.exit(error.exit)
}
