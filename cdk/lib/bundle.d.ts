/** The type of the plain module that the build, too, reads without a compiler. */
declare module '*/control-plane/bundle.mjs' {
  export const LAMBDA_BUNDLE: {
    readonly entryPoints: readonly [string]
    readonly minify: boolean
    readonly target: string
    readonly mainFields: string[]
    readonly legalComments: string
  }
}
