/** What this project uses of dynalite 4, which carries no types. */
declare module 'dynalite' {
  import type { Server } from 'node:http'

  interface DynaliteOptions {
    /** A folder of LevelDB; without it everything is in memory. */
    path?: string
    /** Milliseconds a new table stays in the state CREATING. */
    createTableMs?: number
  }

  export default function dynalite(options?: DynaliteOptions): Server
}
