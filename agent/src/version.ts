/** The version of this agent, from its package: it goes into `hello`, the User-Agent field and `--version`. */
// By import and not from the file system: in a bundle for Lambda no package is beside the code.
import manifest from '../package.json' with { type: 'json' }

export const VERSION: string = manifest.version
