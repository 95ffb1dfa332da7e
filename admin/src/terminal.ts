/** What is printed: the result on standard output, everything else on standard error. Knows nothing of commands or of the process. */
import type { TunnelFault } from '@postern/protocol/fault'
import Table from 'cli-table3'
import { createColors } from 'picocolors'
import type { Outcome, Shown } from './outcome.ts'

export interface TerminalOptions {
  out(text: string): void
  err(text: string): void
  /** Whether colours are wanted on each of the two. */
  readonly color: { readonly out: boolean; readonly err: boolean }
}

export class Terminal {
  readonly #options: TerminalOptions

  constructor(options: TerminalOptions) {
    this.#options = options
  }

  outcome({ json, shown, note }: Outcome, asJson: boolean): void {
    if (asJson) this.#options.out(`${jsonText(json)}\n`)
    else if (shown) this.#options.out(`${this.#text(shown)}\n`)
    if (note !== undefined && !asJson) this.note(note)
  }

  note(text: string): void {
    this.#say(printable(text))
  }

  fault(fault: TunnelFault): void {
    const { red } = createColors(this.#options.color.err)
    this.#say(`${red('error')}: ${printable(fault.message)}\n  ${fault.advice} (${fault.code})`)
  }

  #text(shown: Shown): string {
    const { dim } = createColors(this.#options.color.out)
    switch (shown.kind) {
      case 'line':
        return shown.text
      case 'fields':
        return aligned(shown.fields.map(([name, value]) => [dim(name), printable(value)]))
      case 'table':
        return [
          aligned([shown.head.map((name) => dim(name)), ...shown.rows.map((row) => row.map(printable))]),
          ...(shown.below === undefined ? [] : [shown.below]),
        ].join('\n')
    }
  }

  #say(text: string): void {
    this.#options.err(`tunnel-admin: ${masked(text)}\n`)
  }
}

/** No lines and no padding: what `cut`, `awk` and eyes read alike. */
const PLAIN = {
  chars: {
    ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '' },
    ...{ 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '' },
    middle: '  ',
  },
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
}

function aligned(rows: readonly (readonly string[])[]): string {
  const table = new Table(PLAIN)
  table.push(...rows.map((row) => [...row]))
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

/** Labels and names come from other people: whatever would move a cursor, or turn text around, is shown by its number. */
const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)

/** The same as JSON says it: it leaves some of these characters as they are, and a terminal may obey them. */
const jsonText = (value: unknown): string =>
  JSON.stringify(value, undefined, 2).replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )

/** Whatever a person typed into the wrong place may stand in a message; a token never leaves with it. */
const masked = (text: string): string => text.replace(/pst_[0-9A-Za-z]+/g, 'pst_…')
