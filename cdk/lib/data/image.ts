/** The container image of a task: built from data-plane/ at deployment, or one that exists already. Knows nothing of what it runs. */
import { fileURLToPath } from 'node:url'
import { IgnoreMode, Stack } from 'aws-cdk-lib'
import { Repository } from 'aws-cdk-lib/aws-ecr'
import { Platform } from 'aws-cdk-lib/aws-ecr-assets'
import { ContainerImage } from 'aws-cdk-lib/aws-ecs'
import type { Construct } from 'constructs'
import type { Config } from '../config.ts'

const FOLDER = fileURLToPath(new URL('../../../data-plane', import.meta.url))
/** `123456789012.dkr.ecr.eu-central-1.amazonaws.com/name:tag`, or with `@sha256:…` */
const ECR = /^(?<account>\d{12})\.dkr\.ecr\.(?<region>[a-z0-9-]+)\.amazonaws\.com\/(?<name>[^:@]+)[:@](?<version>.+)$/

/** Docker is needed at deployment, and only for an image of our own; synthesis needs none. */
export function taskImage(scope: Construct, { dataPlaneImage, architecture }: Config): ContainerImage {
  if (dataPlaneImage === undefined) {
    return ContainerImage.fromAsset(FOLDER, {
      platform: architecture === 'arm64' ? Platform.LINUX_ARM64 : Platform.LINUX_AMD64,
      // The bundle is the whole image; without this, every change of a test would be a new one.
      ignoreMode: IgnoreMode.DOCKER,
      exclude: ['*', '!Dockerfile', '!dist', 'dist/*', '!dist/main.js'],
    })
  }
  const ecr = ECR.exec(dataPlaneImage)?.groups
  if (!ecr) return ContainerImage.fromRegistry(dataPlaneImage)
  // As a repository, so that the task may pull from it and from no other.
  const { partition } = Stack.of(scope)
  const repository = Repository.fromRepositoryAttributes(scope, 'Repository', {
    repositoryName: ecr.name!,
    repositoryArn: `arn:${partition}:ecr:${ecr.region}:${ecr.account}:repository/${ecr.name}`,
  })
  return ContainerImage.fromEcrRepository(repository, ecr.version!)
}
