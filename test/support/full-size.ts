/** How large a test is. Knows nothing of any test. */

/** The full size is asked for by `npm run test:full`; what is run otherwise is the first number. */
const FULL = process.env.POSTERN_FULL === '1'

export const size = (usual: number, full: number): number => (FULL ? full : usual)
