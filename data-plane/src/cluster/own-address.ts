/** Where other tasks reach this one. Knows nothing of what they want. */
import { networkInterfaces } from 'node:os'
import { TunnelFault } from '@postern/protocol/fault'
import * as z from 'zod/mini'

export interface OwnAddressOptions {
  /** `address` or `address:port`, where somebody has said so. */
  readonly told: string | undefined
  /** The address that is listened on, and the port that was bound. */
  readonly host: string
  readonly port: number
  /** Of the container, where it runs as a task of ECS. */
  readonly metadataUri: string | undefined
}

const ANY = new Set(['0.0.0.0', '::'])
const metadataSchema = z.object({ Networks: z.array(z.object({ IPv4Addresses: z.array(z.string()) })) })

/** `address:port`. @throws TunnelFault `config-invalid` if there is none to be found */
export async function ownAddress({ told, host, port, metadataUri }: OwnAddressOptions): Promise<string> {
  if (told !== undefined) return /:\d+$/.test(told) && !told.endsWith(']') ? told : `${told}:${port}`
  if (!ANY.has(host)) return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const address = metadataUri === undefined ? firstOwn() : await fromMetadata(metadataUri)
  if (address === undefined)
    throw new TunnelFault('config-invalid', 'This machine has no address that another could reach.')
  return `${address}:${port}`
}

/**
 * The task's private address (docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html). Fargate gives a
 * container an interface for this endpoint too, so that its interfaces alone do not tell.
 */
async function fromMetadata(uri: string): Promise<string | undefined> {
  try {
    const answer = await fetch(uri, { signal: AbortSignal.timeout(2000) })
    return metadataSchema.parse(await answer.json()).Networks[0]?.IPv4Addresses[0]
  } catch (cause) {
    throw new TunnelFault('config-invalid', 'The metadata of the task could not be read.', { cause })
  }
}

function firstOwn(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return all.find(({ family, internal, address }) => family === 'IPv4' && !internal && !address.startsWith('169.254.'))
    ?.address
}
