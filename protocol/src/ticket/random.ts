/** Chance, as it is handed in: `node:crypto`'s `randomBytes` in production, a fixed sequence in a test. */
export type Random = (bytes: number) => Uint8Array
