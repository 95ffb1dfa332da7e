/** Whether a regular expression takes more than linear time on some input, as two analysers see it. */
import { RegExpParser } from '@eslint-community/regexpp'
import recheck from 'recheck/lib/browser.js'
import { analyse } from 'scslre'

export interface Pattern {
  readonly source: string
  readonly flags: string
}

const parser = new RegExpParser()

/**
 * Why the pattern is refused; undefined if it is linear. recheck's automata find every cause, except behind an alternative that matches
 * nothing, where a search with the flag `g` goes on from each character: so each alternative is also judged by itself. scslre finds the
 * causes that one repeated character shows, there too. What neither can judge (assertions about what follows, backreferences) is refused.
 */
export function superLinear({ source, flags }: Pattern): string | undefined {
  const [single] = analyse({ source, flags }, { maxReports: 1 }).reports
  if (single !== undefined) return `super-linear on ${JSON.stringify(single.character.pick)} repeated`
  const { alternatives } = parser.parsePattern(source, undefined, undefined, {
    unicode: flags.includes('u'),
    unicodeSets: flags.includes('v'),
  })
  const parts = alternatives.length === 1 ? [source] : [source, ...alternatives.map(({ raw }) => raw)]
  for (const part of parts) {
    const result = recheck.checkSync(part, flags, { checker: 'automaton' })
    if (result.status === 'vulnerable') return `${result.complexity.summary}, for instance on ${result.attack.pattern}`
    if (result.status === 'unknown') return `not judged: ${JSON.stringify(result.error)}`
  }
  return undefined
}
