/** How the Lambda's one file is made, for whoever makes it: the build, the deployment and the tests. */

/** @type {import('esbuild').BuildOptions} */
export const LAMBDA_BUNDLE = {
  entryPoints: [new URL('./src/lambda.ts', import.meta.url).pathname],
  bundle: true,
  minify: true,
  platform: 'node',
  target: 'node20',
  // The table is called during the start, which takes a top-level await.
  format: 'esm',
  // The SDK's ES modules leave out what is not used; by default esbuild takes CommonJS for Node, which is half as big again.
  mainFields: ['module', 'main'],
  legalComments: 'none',
}
