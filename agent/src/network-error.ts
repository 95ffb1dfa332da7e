/** What went wrong with a connection, in words. Knows nothing of whose connection it was. */

/** Of a name with several addresses, Node reports one error for each and an empty message for all: the first one speaks. */
export function messageOf(error: unknown): string {
  const first = error instanceof AggregateError ? error.errors[0] : error
  return first instanceof Error ? first.message : String(first)
}
