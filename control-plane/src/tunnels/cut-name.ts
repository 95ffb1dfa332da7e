/** Has every channel of a name cut; whoever has the name may come back. */
import type { HandlerDeps } from '../call.ts'

/**
 * @param notBefore ms since 1970, when the name was still its owner's: the tickets of whoever gets it later are later, and
 * stay.
 */
export const cutName = (
  name: string,
  notBefore: number,
  { stores, now, newId }: Pick<HandlerDeps, 'stores' | 'now' | 'newId'>,
): Promise<void> => stores.revocations.add({ what: 'subdomain', key: name, notBefore, now: now(), newId })
