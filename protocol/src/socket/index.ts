/** The door to what all rooms do with a TCP socket. */
export { ByteQueue } from './byte-queue.ts'
export { FailedWrites } from './failed-writes.ts'
export { onBytes } from './on-bytes.ts'
export { resetSocket } from './reset-socket.ts'
