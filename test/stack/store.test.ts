import { NAMED_PLACE } from '../contract/store/place.ts'
import { storeContract } from '../contract/store/store-contract.ts'

storeContract(NAMED_PLACE)
