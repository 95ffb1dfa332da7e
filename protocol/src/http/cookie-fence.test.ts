import { expect, test } from 'vitest'
import { CookieFence } from './cookie-fence.ts'

function* texts(letters: string, longest: number): Generator<string> {
  yield ''
  if (longest === 0) return
  for (const rest of texts(letters, longest - 1)) for (const letter of letters) yield letter + rest
}

test('a Domain is trimmed as the obvious pattern would trim it, which is quadratic in the number of blanks', () => {
  const fence = new CookieFence('a')
  for (const value of texts(' "\t.a', 6)) {
    const domain = value.replaceAll(/^[ \t"]*\.?|\.?[ \t"]*$/g, '')
    const escapes = domain === 'a' || /[ "\t]/.test(domain)
    expect([value, fence.admits(`c=1; Domain=${value}`)]).toEqual([value, !escapes])
  }
})
