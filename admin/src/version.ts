/** The version of this command, from its package: it goes into the User-Agent field and `--version`. */
import { readFileSync } from 'node:fs'

// One level up from src/ and from dist/ alike.
const manifest: { version: string } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

export const VERSION = manifest.version
