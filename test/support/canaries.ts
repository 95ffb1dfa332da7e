/** The secrets of a test, and the search for them in whatever the test left behind. Knows nothing of where either comes from. */
import { PieceFilter } from './piece-filter.ts'
import { allForms, oneAlphabet, readings } from './secret-forms.ts'

export interface Place {
  /** For messages: `standard error of agent 2`. */
  readonly name: string
  readonly bytes: Buffer
  /** So many different tokens are meant to stand here, once each: it is where a person is shown them. None unless told. */
  readonly newTokens?: number
}

export interface Leak {
  readonly place: string
  /** What leaked, and as what: `the key of a ticket, as base64`. Never the secret. */
  readonly what: string
  /** What stands around it on its line, every secret masked. */
  readonly context: string
}

/** So much of a secret in a row is a leak: 64 bits of hex, 95 of a token; by chance it stands nowhere. */
const LEAK = 16
/** What is looked up: so short, and known from so many places of a secret, that whatever is a leak holds one of them. */
const PIECE = 12
const STRIDE = LEAK - PIECE + 1
const CONTEXT = 60
const MASK = '█'

interface Secret {
  readonly name: string
  readonly isToken: boolean
}
interface Piece {
  readonly secret: Secret
  readonly form: string
  /** The whole of the secret in that form, and where in it the piece stands. */
  readonly written: string
  readonly at: number
}
interface Hit extends Pick<Piece, 'secret' | 'form'> {
  readonly from: number
  to: number
}

export class Canaries {
  readonly #pieces = new Map<string, Piece>()
  readonly #filter = new PieceFilter(PIECE)
  readonly #known = new Set<string>()
  /** Cut into pieces when something is searched: a test adds thousands while it measures something else. */
  readonly #uncut: { readonly name: string; readonly text: string }[] = []

  /** How many there are. */
  get size(): number {
    return this.#known.size
  }

  /** A secret from now on. Hexadecimal text stands for its bytes, too. Harmless when repeated. @param name for messages: `the key of a ticket` */
  add(name: string, text: string): void {
    if (this.#known.has(text)) return
    if (text.length < LEAK)
      throw new RangeError(`${name} has ${text.length} characters, too few to be told from chance`)
    this.#known.add(text)
    this.#uncut.push({ name, text })
  }

  /** Every place where something of a secret stands that may not. */
  find(places: Iterable<Place>): Leak[] {
    for (const { name, text } of this.#uncut.splice(0)) this.#cut(name, text)
    return [...places].flatMap((place) => this.#findIn(place))
  }

  #cut(name: string, text: string): void {
    const secret = { name, isToken: text.startsWith('pst_') }
    for (const [form, asWritten] of allForms(text)) {
      const written = oneAlphabet(asWritten)
      for (let at = 0; at + PIECE <= written.length; at += STRIDE) {
        const piece = written.slice(at, at + PIECE)
        if (this.#pieces.has(piece)) continue
        this.#pieces.set(piece, { secret, form, written, at })
        this.#filter.add(piece)
      }
    }
  }

  #findIn({ name, bytes, newTokens = 0 }: Place): Leak[] {
    const leaks: Leak[] = []
    const shown = new Set<Secret>()
    for (const text of readings(bytes)) {
      const hits = this.#hitsIn(oneAlphabet(text))
      for (const hit of hits) {
        const { secret, form } = hit
        const meant = secret.isToken && form === 'text' && !shown.has(secret) && shown.size < newTokens
        if (meant) shown.add(secret)
        else leaks.push({ place: name, what: `${secret.name}, as ${form}`, context: around(text, hit, hits) })
      }
    }
    return leaks
  }

  #hitsIn(text: string): Hit[] {
    const hits: Hit[] = []
    let next = 0
    for (const at of this.#filter.candidates(text)) {
      const piece = at < next ? undefined : this.#pieces.get(text.slice(at, at + PIECE))
      if (piece === undefined) continue
      const { from, to } = extent(text, at, piece)
      if (to - from < LEAK) continue
      const last = hits.at(-1)
      // Where two forms have a stretch in common, the one may have been taken for the other so far.
      if (last?.secret === piece.secret && from <= last.to) last.to = to
      else hits.push({ secret: piece.secret, form: piece.form, from, to })
      next = to
    }
    return hits
  }
}

/** As far as `text` goes on like the secret before and behind the piece at `begin`. */
function extent(text: string, begin: number, { written, at }: Piece): { from: number; to: number } {
  let before = 0
  while (before < at && text[begin - before - 1] === written[at - before - 1]) before += 1
  let length = PIECE
  while (at + length < written.length && text[begin + length] === written[at + length]) length += 1
  return { from: begin - before, to: begin + length }
}

/** The line of a hit, as far as it is near, with every hit masked. */
function around(text: string, { from, to }: Hit, hits: readonly Hit[]): string {
  const begin = Math.max(from - CONTEXT, text.lastIndexOf('\n', from) + 1)
  const newline = text.indexOf('\n', to)
  const end = Math.min(to + CONTEXT, newline < 0 ? text.length : newline)
  let shown = ''
  for (let at = begin; at < end; at += 1) {
    const hit = hits.find((other) => other.from <= at && at < other.to)
    shown += hit === undefined ? text[at] : MASK
  }
  return shown.replaceAll(/█+/g, MASK)
}
