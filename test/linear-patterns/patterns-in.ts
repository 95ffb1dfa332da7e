/** Finds the regular expressions of a source file in its syntax tree. */
import { parseSync, Visitor } from 'oxc-parser'
import type { Pattern } from './super-linear.ts'

export interface FoundPattern {
  readonly line: number
  /** Undefined where it is made when the program runs. */
  readonly pattern: Pattern | undefined
}

/** Methods of strings that make a regular expression of a text they are given. */
const TAKES_PATTERN = new Set(['match', 'matchAll', 'search'])

/** @throws Error if the text does not parse */
export function patternsIn(file: string, text: string): FoundPattern[] {
  const { program, errors } = parseSync(file, text)
  const [error] = errors
  if (error !== undefined) throw new Error(`${file}: ${error.message}`)
  const found: FoundPattern[] = []
  const add = (start: number, pattern: Pattern | undefined): void => {
    found.push({ line: text.slice(0, start).split('\n').length, pattern })
  }
  new Visitor({
    Literal(node) {
      if ('regex' in node) add(node.start, { source: node.regex.pattern, flags: node.regex.flags })
    },
    NewExpression(node) {
      if (isRegExp(node.callee)) add(node.start, constructed(node.arguments))
    },
    CallExpression({ start, callee, arguments: given }) {
      if (isRegExp(callee)) return add(start, constructed(given))
      if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return
      const source = textOf(given[0])
      if (source !== undefined && TAKES_PATTERN.has(callee.property.name)) add(start, { source, flags: '' })
    },
  }).visit(program)
  return found
}

const isRegExp = (callee: { type: string; name?: unknown }): boolean =>
  callee.type === 'Identifier' && callee.name === 'RegExp'

function constructed([sourceNode, flagsNode]: readonly unknown[]): Pattern | undefined {
  const source = textOf(sourceNode)
  const flags = flagsNode === undefined ? '' : textOf(flagsNode)
  return source === undefined || flags === undefined ? undefined : { source, flags }
}

function textOf(node: unknown): string | undefined {
  const { type, value } = (node ?? {}) as { type?: string; value?: unknown }
  return type === 'Literal' && typeof value === 'string' ? value : undefined
}
