/** Puts a result into docs/benchmarks.md, between two marks; what people wrote around them stays. */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const FILE = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url))
const BEGIN = '<!-- measured: begin (written by npm run bench) -->'
const END = '<!-- measured: end -->'

/** Returns the path of the file. @throws Error when the marks are missing */
export async function record(text: string): Promise<string> {
  const page = await readFile(FILE, 'utf8')
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (from < 0 || to < from) throw new Error(`${FILE} lacks the lines ${BEGIN} and ${END}`)
  await writeFile(FILE, `${page.slice(0, from + BEGIN.length)}\n\n${text}\n\n${page.slice(to)}`)
  return FILE
}
