/** The version of this agent, from its package: it goes into `hello`, the User-Agent field and `--version`. */
import { readFileSync } from 'node:fs'

// One level up from src/ and from dist/ alike.
const manifest: { version: string } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

export const VERSION = manifest.version
