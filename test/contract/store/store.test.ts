import { PLACES } from './place.ts'
import { storeContract } from './store-contract.ts'

for (const place of PLACES) storeContract(place)
