/** What a command comes to, before anybody prints it. Knows nothing of terminals. */

export interface Outcome {
  /** For `--json`: the API's own object or, of a list, all of its objects. */
  readonly json: unknown
  /** What standard output carries for a person; without it, nothing. */
  readonly shown?: Shown
  /** One sentence for standard error: what was done, or what is to be known about it. */
  readonly note?: string
}

export type Shown =
  /** One line that a script may read: a token. */
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'fields'; readonly fields: readonly Field[] }
  | {
      readonly kind: 'table'
      readonly head: readonly string[]
      readonly rows: readonly (readonly string[])[]
      /** A last line, for what must not get lost when only standard output is kept. */
      readonly below?: string
    }

type Field = readonly [name: string, value: string]

/** Of a call that answers nothing: what was done, in the words of the audit. */
export const done = (action: string, target: string, note: string): Outcome => ({
  json: { action, target, result: 'done' },
  note,
})

/** A list as a table; `nothing` is said instead of a table without rows. */
export function listed<T>(
  items: readonly T[],
  nothing: string,
  columns: readonly (readonly [head: string, cell: (item: T) => string])[],
): Outcome {
  if (items.length === 0) return { json: items, note: nothing }
  const head = columns.map(([name]) => name)
  const rows = items.map((item) => columns.map(([, cell]) => cell(item)))
  return { json: items, shown: { kind: 'table', head, rows } }
}
