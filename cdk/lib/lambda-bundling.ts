/** How a Lambda's one file is bundled at synthesis: by the options of the tests' bundles. */
import { fileURLToPath } from 'node:url'
import { type BundlingOptions, LogLevel, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs'
import { LAMBDA_BUNDLE } from '../../control-plane/bundle.mjs'

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

export const LAMBDA_BUNDLING: BundlingOptions = {
  // The esbuild of this repository, so that nobody needs Docker.
  minify: LAMBDA_BUNDLE.minify,
  target: LAMBDA_BUNDLE.target,
  mainFields: LAMBDA_BUNDLE.mainFields,
  format: OutputFormat.ESM,
  esbuildArgs: { '--legal-comments': LAMBDA_BUNDLE.legalComments },
  // The pinned SDK goes along: the runtime's own is whatever it is that day.
  externalModules: [],
  // The CDK starts it by npx, which would take the package and the command of an npx around us (`npx -p node@24 -c …`) for its own.
  environment: { npm_config_package: '', npm_config_call: '' },
  logLevel: LogLevel.WARNING,
}
