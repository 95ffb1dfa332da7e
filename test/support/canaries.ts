/** The secrets of a test, and the search for them in whatever the test left behind. Knows nothing of where either comes from. */
import { allForms, readings } from './secret-forms.ts'

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
const PIECE = 16
const CONTEXT = 60
const MASK = '█'

interface Secret {
  readonly name: string
  readonly isToken: boolean
  /** Pieces of several secrets are counted by this. */
  readonly id: number
}
interface Hit {
  readonly secret: Secret
  readonly form: string
  readonly from: number
  to: number
}

export class Canaries {
  /** Every piece of every form of every secret. */
  readonly #pieces = new Map<string, { secret: Secret; form: string }>()
  readonly #known = new Set<string>()

  /** How many there are. */
  get size(): number {
    return this.#known.size
  }

  /** A secret from now on. Hexadecimal text stands for its bytes, too. Harmless when repeated. @param name for messages: `the key of a ticket` */
  add(name: string, text: string): void {
    if (this.#known.has(text)) return
    if (text.length < PIECE)
      throw new RangeError(`${name} has ${text.length} characters, too few to be told from chance`)
    const secret = { name, isToken: text.startsWith('pst_'), id: this.#known.size }
    this.#known.add(text)
    for (const [form, written] of allForms(text)) {
      for (let at = 0; at + PIECE <= written.length; at += 1) {
        const piece = written.slice(at, at + PIECE)
        if (!this.#pieces.has(piece)) this.#pieces.set(piece, { secret, form })
      }
    }
  }

  /** Every place where something of a secret stands that may not. */
  find(places: Iterable<Place>): Leak[] {
    return [...places].flatMap((place) => this.#findIn(place))
  }

  #findIn({ name, bytes, newTokens = 0 }: Place): Leak[] {
    const leaks: Leak[] = []
    const shown = new Set<number>()
    for (const text of readings(bytes)) {
      const hits = this.#hitsIn(text)
      for (const hit of hits) {
        const { secret, form } = hit
        const meant = secret.isToken && form === 'text' && !shown.has(secret.id) && shown.size < newTokens
        if (meant) shown.add(secret.id)
        else leaks.push({ place: name, what: `${secret.name}, as ${form}`, context: around(text, hit, hits) })
      }
    }
    return leaks
  }

  /** Pieces that overlap are one hit. */
  #hitsIn(text: string): Hit[] {
    const hits: Hit[] = []
    for (let at = 0; at + PIECE <= text.length; at += 1) {
      const found = this.#pieces.get(text.slice(at, at + PIECE))
      if (found === undefined) continue
      const last = hits.at(-1)
      if (last && last.secret === found.secret && at <= last.to) last.to = at + PIECE
      else hits.push({ ...found, from: at, to: at + PIECE })
    }
    return hits
  }
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
