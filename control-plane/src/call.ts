/** One call of the API as its handler sees it: who asks, and what for, already judged. Knows nothing of HTTP. */
import type { OPERATIONS, Operation, OperationId } from '@postern/protocol/api'
import type { NewId, Token, User } from '@postern/protocol/store'
import type * as z from 'zod/mini'
import type { ControlDeps } from './settings.ts'

type Names<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never
type Read<O, Part extends 'query' | 'body'> =
  O extends Record<Part, infer S extends z.ZodMiniType> ? z.output<S> : undefined

export interface Call<O extends Operation = Operation> {
  /** The caller's token, good and with the scope that the operation asks for. */
  readonly token: O['who'] extends 'anyone' ? undefined : Token
  /** Whose it is, not disabled; read after the token. */
  readonly user: O['who'] extends 'anyone' ? undefined : User
  readonly params: { readonly [Name in Names<O['path']>]: string }
  readonly query: Read<O, 'query'>
  readonly body: Read<O, 'body'>
  readonly sourceIp: string
  /** ms since 1970, before it was read who asks: a revocation that this call has not seen is later. */
  readonly askedAt: number
  /** For the audit: what the call is about, where the path does not name it. Set by the handler. */
  target: string | undefined
}

/** What handlers work with. */
export type HandlerDeps = Omit<ControlDeps, 'sourceIp' | 'requestId' | 'log' | 'measure'> & { readonly newId: NewId }

type Answer<O extends Operation> = O extends { answer: infer S extends z.ZodMiniType } ? z.input<S> : undefined

export type HandlerOf<Id extends OperationId> = (
  call: Call<(typeof OPERATIONS)[Id]>,
  deps: HandlerDeps,
) => Promise<Answer<(typeof OPERATIONS)[Id]>>

/** A handler for each operation there is: one that is missing does not compile. */
export type Handlers = { readonly [Id in OperationId]: HandlerOf<Id> }
