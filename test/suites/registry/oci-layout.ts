/** Writes images as folders in the OCI layout, without a builder (OCI image specification 1.0, image-layout.md). */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const TYPE = 'application/vnd.oci.image'
const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/**
 * Writes one image for each of `architectures` below one tag, each with layers of these sizes; several images are joined by an index.
 * @returns the digest of what the tag names
 */
export async function writeOciLayout(
  folder: string,
  tag: string,
  layerBytes: readonly number[],
  architectures: readonly string[] = ['amd64'],
): Promise<string> {
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true })
  const write = async (mediaType: string, bytes: Buffer): Promise<Descriptor> => {
    const digest = digestOf(bytes)
    await writeFile(join(folder, 'blobs', digest.replace(':', '/')), bytes)
    return { mediaType, digest, size: bytes.length }
  }
  const writeJson = (mediaType: string, value: unknown) => write(mediaType, Buffer.from(JSON.stringify(value)))

  const manifests = await Promise.all(
    architectures.map(async (architecture) => {
      const contents = layerBytes.map((size) => randomBytes(size))
      const layers = await Promise.all(contents.map((bytes) => write(`${TYPE}.layer.v1.tar+gzip`, gzipSync(bytes))))
      const rootfs = { type: 'layers', diff_ids: contents.map(digestOf) }
      const config = await writeJson(`${TYPE}.config.v1+json`, { architecture, os: 'linux', config: {}, rootfs })
      const mediaType = `${TYPE}.manifest.v1+json`
      const manifest = await writeJson(mediaType, { schemaVersion: 2, mediaType, config, layers })
      return { ...manifest, platform: { architecture, os: 'linux' } }
    }),
  )
  const mediaType = `${TYPE}.index.v1+json`
  const named =
    manifests.length === 1 ? manifests[0]! : await writeJson(mediaType, { schemaVersion: 2, mediaType, manifests })
  const annotations = { 'org.opencontainers.image.ref.name': tag }
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  await writeFile(
    join(folder, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...named, annotations }] }),
  )
  return named.digest
}
