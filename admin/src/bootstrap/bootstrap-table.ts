/** Makes the first administrator straight in the table. The only file of this room that loads the SDK of AWS: import it where it is needed. */
import { createDynamoClient, openStore } from '@postern/protocol/store'
import type { Random } from '@postern/protocol/ticket'
import { ulid } from 'ulid'
import { type FirstAdmin, makeFirstAdmin } from './first-admin.ts'
import { type Place, tableFault } from './table-fault.ts'

export interface BootstrapCall {
  readonly place: Place
  readonly force: boolean
  readonly now: number
  readonly random: Random
}

/** @throws TunnelFault as `makeFirstAdmin`, or `config-invalid` about the credentials, the region or the table */
export async function bootstrapTable({ place, force, now, random }: BootstrapCall): Promise<FirstAdmin> {
  const { tableName, endpoint } = place
  const client = createDynamoClient({ endpoint })
  try {
    const stores = openStore({ tableName, client })
    return await makeFirstAdmin({ stores, force, now, random, newId: () => ulid(now) })
  } catch (error) {
    throw tableFault(error, place)
  } finally {
    client.destroy()
  }
}
