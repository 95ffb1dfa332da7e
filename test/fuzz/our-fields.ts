/** Fields of framing, routing, forwarding and the connection, as our documents list them: a second list, to compare with. */
const OURS =
  /^(?:host|content-length|transfer-encoding|connection|keep-alive|upgrade|te|expect|forwarded|x-real-ip|postern-request-id|cookie|via|set-cookie|tunnel-error|location|authorization|www-authenticate|max-forwards|x-forwarded-.+|proxy|proxy-.+)$/

/** Whether the name is one of them, or differs by its punctuation alone. */
export const isOurs = (name: string): boolean => OURS.test(name.toLowerCase().replaceAll(/[^0-9a-z]/g, '-'))

/** Whether it differs by its punctuation alone. */
export const resemblesOurs = (name: string): boolean => /[^0-9A-Za-z-]/.test(name) && isOurs(name)
