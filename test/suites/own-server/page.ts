/** The page for people who run Postern on a server of their own: its blocks, as they are written, at other ports and paths. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const PAGE = fileURLToPath(new URL('../../../docs/own-server.md', import.meta.url))

/** Every block of that language, in order. */
export async function blocksOf(language: string): Promise<string[]> {
  const text = await readFile(PAGE, 'utf8')
  const blocks: string[] = []
  for (const [, found, block] of text.matchAll(/^```(\w+)\n([^`]*)^```$/gm)) if (found === language) blocks.push(block!)
  return blocks
}

/** Puts this test's places where the page has those of a server. @throws Error if one of them is not there: the test would run something else than the page */
export function placed(block: string, places: Readonly<Record<string, string>>): string {
  let text = block
  for (const [written, here] of Object.entries(places)) {
    if (!text.includes(written)) throw new Error(`the page says nothing of ${written}`)
    text = text.replaceAll(written, here)
  }
  return text
}
