/** The shell commands of a page: what a person copies from it. */
import { readFileSync } from 'node:fs'

const ROOT = new URL('../../', import.meta.url)

const SHELL_BLOCK = /^```sh\n(.*?)^```/gms

/**
 * @param page from the root of the repository
 * @param beginning of the text from which to look: a heading, or a sentence
 * @param end where to stop: the beginning of a later line
 * @returns the blocks of commands after it
 * @throws Error if there is none
 */
export function shellBlocks(page: string, beginning: string, end?: string): string[] {
  const text = readFileSync(new URL(page, ROOT), 'utf8')
  const from = text.indexOf(`\n${beginning}`)
  const to = end === undefined ? undefined : text.indexOf(`\n${end}`, from + 1)
  const blocks = [...text.slice(from, to).matchAll(SHELL_BLOCK)].map(([, block]) => block!)
  if (from === -1 || to === -1 || blocks.length === 0) throw new Error(`${page} has no commands after "${beginning}"`)
  return blocks
}

/** The first of them. */
export const shellBlock = (page: string, beginning: string): string => shellBlocks(page, beginning)[0]!

/** Those of its lines that run `cdk`, without their comments. */
export const cdkLines = (block: string): string[] =>
  block.split('\n').flatMap((line) => /^npx cdk [^#]*[^# ]/.exec(line)?.[0] ?? [])
