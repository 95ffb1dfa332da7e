/** Whether the service answers. */
import type { HandlerOf } from './call.ts'

/** The table is not asked: a process that cannot reach it is not made better by being replaced. */
export const getHealth: HandlerOf<'getHealth'> = async () => ({ status: 'ok' })
