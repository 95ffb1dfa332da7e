/** MiniStack and the AWS command line, in a virtual environment of their own. */
import { fileURLToPath } from 'node:url'
import { pythonEnvironment } from '../../support/python-environment.ts'

const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url))

/**
 * Installs what requirements.txt names, unless that is done.
 * @returns the interpreter to run MiniStack with; `aws` is beside it
 * @throws Error that says what is missing on this machine
 */
export const installMinistack = (): Promise<string> =>
  pythonEnvironment('ministack', REQUIREMENTS).catch((cause: Error) => {
    throw new Error(`MiniStack and the AWS command line cannot be installed: ${cause.message}`, { cause })
  })
