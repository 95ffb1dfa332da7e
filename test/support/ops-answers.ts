/** What a data plane tells whoever watches it. Knows nothing of what it means. */
import type { Place } from './canaries.ts'

const PATHS = ['/healthz', '/readyz', '/metrics']
/** Beyond it the process is held (SIGSTOP) or on its way out, and tells nobody anything. */
const PATIENCE_MS = 500

/** Its answers, whatever they are; none from a process that does not answer. */
export async function opsAnswers(port: number): Promise<Place[]> {
  const answers = PATHS.map(async (path) => {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const text = await fetch(`http://127.0.0.1:${port}${path}`, { signal })
      .then((answer) => answer.text())
      .catch(() => '')
    return { name: `the answer to ${path} of the data plane`, bytes: Buffer.from(text) }
  })
  return Promise.all(answers)
}
