/** How many availability zones the network spans. */

/** Two outlive the loss of one; each further one costs an address, and zone-crossing bytes for more of the traffic. */
export const ZONES = 2
