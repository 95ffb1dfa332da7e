/** The process of small-buffers.test.ts: rounds of slow readers in the namespace that it was started in. Says each on a line. */
import { type RoundOptions, slowRound } from './slow-round.ts'

const rounds = JSON.parse(process.argv[2]!) as RoundOptions[]
for (const round of rounds) process.stdout.write(`${JSON.stringify(await slowRound(round))}\n`)
process.exit()
