/** The shape of the one table, as plain values: what the deployment creates, the local system creates and the tests check. */

/** Every item has both keys, as strings. All lists are Queries over one partition: there is no index and no Scan. */
export const TABLE = {
  partitionKey: 'pk',
  sortKey: 'sk',
  /** Seconds since 1970. Deletion may be days late, so no condition relies on it. */
  timeToLive: 'purgeAt',
  /** Nothing is provisioned: an idle deployment costs nothing. */
  billing: 'PAY_PER_REQUEST',
} as const
