/** A second, plainer reading of the lines of a response: whether some are only tolerated, and what a trailer section passes on as. */
import { isOurs } from './our-fields.ts'

/** LF for CRLF, a fold, white space before a colon, control characters other than tab. */
export const hasOddLines = (text: string): boolean =>
  /(?:^|[^\r])\n|(?:^|\n)[ \t]|(?:^|\n)[^:\n]*[ \t]:|[^\t\r\n -~\x80-\xff]/.test(text)

/** The same of a head, whose status line may have any colon. */
export const hasOddHead = (text: string): boolean =>
  hasOddLines(text.replace(/^[^\n]*/, (line) => line.replaceAll(':', '')))

/** A whole section, empty line included: without the fields that may not stand there, and in clean form if some line is odd. */
export function cleanTrailers(section: string): string {
  const odd = hasOddLines(section)
  const lines = section.replaceAll(/\r?\n[ \t]/g, '\0').split(/(?<=\n)/)
  const kept = lines.filter((line) => !isOurs(line.split(':', 1)[0]!.replace(/[ \t]+$/, '')))
  return kept.map((line) => (odd ? cleanLine(line) : line)).join('')
}

/** `\0` stands for a fold. */
function cleanLine(line: string): string {
  const content = line.replace(/\r?\n$/, '')
  if (content === '') return '\r\n'
  const colon = content.indexOf(':')
  const pieces = content
    .slice(colon + 1)
    .split('\0')
    .map((piece) => withoutBlanks(piece))
    .filter((piece) => piece !== '')
  const value = pieces.join(' ').replaceAll(/[^\t -~\x80-\xff]/g, ' ')
  return `${withoutBlanks(content.slice(0, colon))}: ${value}\r\n`
}

const withoutBlanks = (text: string): string => text.replaceAll(/^[ \t]+|[ \t]+$/g, '')
