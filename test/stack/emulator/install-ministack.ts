/** MiniStack in a virtual environment of its own. Knows nothing of how it is run. */
import { fileURLToPath } from 'node:url'
import { pythonEnvironment } from '../../support/python-environment.ts'

const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url))

/**
 * Installs what requirements.txt names, unless that is done.
 * @returns the interpreter to run it with
 * @throws Error that says what is missing on this machine
 */
export const installMinistack = (): Promise<string> =>
  pythonEnvironment('ministack', REQUIREMENTS).catch((cause: Error) => {
    const instead = 'Or set AWS_ENDPOINT_URL to an emulator that runs (MiniStack, LocalStack).'
    throw new Error(`MiniStack cannot be installed: ${cause.message}. ${instead}`, { cause })
  })
