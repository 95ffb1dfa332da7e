/** Random names of two words for tunnels that were given none. Knows nothing of who else has a name. */

const QUALITIES =
  `able amber brave brisk bright calm civil clear clever cosy crisp daring eager early easy fair fancy fleet fond frank
  fresh gentle glad golden good grand green handy happy hardy honest humble ideal jolly keen kind late lively loyal lucky
  mellow merry mild modest neat nimble noble novel open patient plain polite prime proud quick quiet rapid ready rosy
  royal sage secure sharp shiny silent silver simple sleek smooth snug solid spry stable steady still strong sunny sure
  swift tall tender thrifty tidy tiny tranquil true upbeat urban vast vivid warm wise witty young zesty`.split(/\s+/)

const THINGS =
  `acorn alder anchor apple arch aspen badger banjo basil beacon birch bison bridge brook canal canyon castle cedar
  cherry cliff clover comet coral cove crane creek daisy dawn delta dune eagle ember falcon fern finch fjord forest fox
  garden geyser glade grove harbor hare haven hazel heron hill holly island ivy jasmine kestrel kite lagoon lake lantern
  lark laurel leaf lemon lily linden lynx maple marble meadow mesa mill moon moss nest oak oasis olive orchard otter owl
  palm peak pearl pebble pine planet plum pond poplar quail quartz raven reef ridge river robin saddle shore sparrow
  spruce star stone stream summit swan thistle tiger trail tulip valley violet walnut wave willow wren zebra`.split(
    /\s+/,
  )

/** `calm-otter`: about 14 bits, so a name can be taken; draw again then. @param random uniform in [0, 1) */
export const twoWords = (random: () => number): string => `${pick(QUALITIES, random)}-${pick(THINGS, random)}`

const pick = (words: readonly string[], random: () => number): string => words[Math.floor(random() * words.length)]!
