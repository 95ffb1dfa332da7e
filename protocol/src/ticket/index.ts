/** The door of tickets, tokens and the keys behind them. */
export { type ChannelInfo, type ChannelTicket, channelTicketSchema } from './channel-ticket.ts'
export {
  type GrantedName,
  isProven,
  type NameHolder,
  type ProofFacts,
  proofFacts,
  proveClaim,
  publishedKeys,
  readPublishedKeys,
  signGrant,
} from './claim-proof.ts'
export {
  DeploymentKey,
  type DeploymentKeys,
  type KeyPurpose,
  keyById,
  newDeploymentSecret,
  parseDeploymentKeys,
} from './deployment-keys.ts'
export { canProve, isProvenBy, NodeKey } from './node-key.ts'
export { type Observation, signObservation, verifyObservation } from './observation.ts'
export type { Random } from './random.ts'
export { openSealedKey, type SealContext, sealKey } from './sealed-key.ts'
export { Secret } from './secret.ts'
export { checkToken, newToken, type TokenKind, tokenHash } from './token.ts'
export { isIssuedWorkerId, newWorkerId, workerIdHash } from './worker-id.ts'
