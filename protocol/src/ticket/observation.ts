/** What the channel server saw, signed, so that the control plane can white-list it for the agent that was refused. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import * as z from 'zod/mini'
import { TunnelFault } from '../fault.ts'
import { OBSERVATION_LIFE_MS } from '../limits.ts'
import { type DeploymentKey, type DeploymentKeys, keyById } from './deployment-keys.ts'

const observationSchema = z.strictObject({
  /** The address as the channel server saw it, not yet an address key. */
  seenIp: z.string(),
  /** Of the id that was presented from there: it leads to the ticket, and so to the token that may use this. */
  idHash: z.string(),
  /** Milliseconds since 1970. */
  time: z.number(),
})

export type Observation = z.infer<typeof observationSchema>

/** `<key id>.<base64url of the JSON>.<base64url of HMAC-SHA-256 over both>`; goes into the answer line as it is. */
export function signObservation(observation: Observation, keys: DeploymentKeys): string {
  const body = Buffer.from(JSON.stringify(observation)).toString('base64url')
  const signed = `${keys.current.id}.${body}`
  return `${signed}.${signature(signed, keys.current).toString('base64url')}`
}

/**
 * What `text` says, if a key of this deployment signed it within the last 60 s.
 * @throws TunnelFault `observation-refused`
 */
export function verifyObservation(text: string, keys: DeploymentKeys, now: number): Observation {
  const [id = '', body = '', mac = '', ...rest] = text.split('.')
  const key = keyById(keys, id)
  if (key === undefined || rest.length > 0) throw new TunnelFault('observation-refused', 'It is not of this server.')
  const given = Buffer.from(mac, 'base64url')
  const wanted = signature(`${id}.${body}`, key)
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    throw new TunnelFault('observation-refused', 'Its signature does not fit.')
  }
  const observation = observationSchema.parse(JSON.parse(Buffer.from(body, 'base64url').toString()))
  if (Math.abs(now - observation.time) > OBSERVATION_LIFE_MS) {
    throw new TunnelFault('observation-refused', `It is older than ${OBSERVATION_LIFE_MS / 1000} s.`)
  }
  return observation
}

const signature = (text: string, key: DeploymentKey): Buffer =>
  createHmac('sha256', key.subkey('observation')).update(text).digest()
