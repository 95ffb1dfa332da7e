/** What drives small requests, and what it reports. Knows no generator. */
import type { Target } from '../contender.ts'

export interface LoadRequest {
  readonly target: Target
  readonly connections: number
  readonly seconds: number
}

export interface LoadReport {
  readonly requests: number
  readonly seconds: number
  /** Milliseconds, as a client that waits for each answer before it asks again sees them. */
  readonly p50: number
  readonly p99: number
  /** Connections refused or lost, answers of another status than 200, requests without an answer. */
  readonly errors: number
}

export interface LoadGenerator {
  readonly version: string
  run(request: LoadRequest): Promise<LoadReport>
}
