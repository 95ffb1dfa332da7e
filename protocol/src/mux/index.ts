/** The door to the multiplexer: many streams over one ordered flow of bytes. */
export { GoAwayCode } from './frame.ts'
export { type HeldVerdict, type Holder, judgeHeld } from './held-watermark.ts'
export { Mux, type MuxEvents, type MuxOptions } from './mux.ts'
export type { ByteStream, RawStream, StreamListener } from './stream.ts'
export { duplexOf } from './stream-duplex.ts'
export { WindowBudget } from './window-budget.ts'
