/** Times of the API as the person at this terminal reads them. */

/** `2026-11-22 17:58:03` of ISO 8601; '' of no time. @param timeZone of this machine unless told */
export function localTime(iso: string | undefined, timeZone?: string): string {
  if (iso === undefined) return ''
  // Sweden writes dates in the order that sorts; the language of the terminal must not change what a script may cut out.
  const format = new Intl.DateTimeFormat('sv-SE', {
    dateStyle: 'short',
    timeStyle: 'medium',
    ...(timeZone !== undefined && { timeZone }),
  })
  return format.format(new Date(iso))
}
