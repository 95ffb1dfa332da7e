import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What `npm run check` says of an import of `door` in a file of that path. */
function lint(file: string, door: string): { status: number | null; said: string } {
  const source = `import { something } from '${door}'\n\nsomething()\n`
  const { status, stdout, stderr } = spawnSync(
    'node_modules/.bin/biome',
    ['lint', '--only=style/noRestrictedImports', `--stdin-file-path=${file}`],
    { cwd: root, input: source, encoding: 'utf8' },
  )
  return { status, said: stdout + stderr }
}

test.each([
  ['agent/src/x.ts', '@postern/data-plane'],
  ['agent/src/x.ts', '../../data-plane/src/service.ts'],
  ['agent/src/x.ts', '@postern/protocol/store'],
  ['agent/src/x.ts', '@aws-sdk/client-dynamodb'],
  ['control-plane/src/x.ts', '@postern/agent'],
  ['control-plane/src/x.ts', '@aws-sdk/client-dynamodb'],
  ['cdk/lib/x.ts', '@postern/control-plane'],
  ['protocol/src/mux/x.ts', '@postern/agent'],
  ['protocol/src/mux/x.ts', '@aws-sdk/client-dynamodb'],
  ['data-plane/src/channel/x.ts', '../route/route.ts'],
  ['data-plane/src/route/x.ts', '../dispatch/dispatcher.ts'],
  ['data-plane/src/dispatch/x.ts', '../public/exchange.ts'],
  ['data-plane/src/public/x.ts', '../config.ts'],
])('%s may not import %s', (file, door) => {
  const { status, said } = lint(file, door)
  expect(said).toContain('noRestrictedImports')
  expect(status).not.toBe(0)
})

test.each([
  ['agent/src/x.ts', '@postern/protocol/channel'],
  ['protocol/src/store/x.ts', '@aws-sdk/client-dynamodb'],
  ['data-plane/src/public/x.ts', '../dispatch/dispatcher.ts'],
  ['local/src/x.ts', '@postern/control-plane'],
])('%s may import %s', (file, door) => {
  expect(lint(file, door).said).not.toContain('noRestrictedImports')
})
