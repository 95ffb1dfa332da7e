/** The door to what all rooms do with a TCP socket. */
export { cutSocket } from './cut-socket.ts'
export { onBytes } from './on-bytes.ts'
