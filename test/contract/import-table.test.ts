import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'

const FORBIDDEN = [
  ['agent/src', '@postern/data-plane'],
  ['agent/src', '../../data-plane/src/service.ts'],
  ['agent/src', '@postern/protocol/store'],
  ['agent/src', '@aws-sdk/client-dynamodb'],
  ['agent/src', '@postern/admin'],
  ['admin/src', '@postern/agent'],
  ['admin/src', '../../agent/src/settings.ts'],
  ['admin/src/commands', '@postern/protocol/store'],
  ['admin/src', '@postern/protocol/store'],
  ['admin/src/bootstrap', '@postern/control-plane'],
  ['admin/src/bootstrap', '@aws-sdk/client-dynamodb'],
  ['control-plane/src', '@postern/admin'],
  ['data-plane/src/channel', '@postern/admin'],
  ['protocol/src/client', '@postern/admin'],
  ['control-plane/src', '@postern/agent'],
  ['control-plane/src', '@aws-sdk/client-dynamodb'],
  ['cdk/lib', '@postern/control-plane'],
  ['protocol/src/mux', '@postern/agent'],
  ['protocol/src/mux', '@aws-sdk/client-dynamodb'],
  ['data-plane/src/channel', '../route/route.ts'],
  ['data-plane/src/route', '../dispatch/dispatcher.ts'],
  ['data-plane/src/dispatch', '../proxy/exchange.ts'],
  ['data-plane/src/proxy', '../inbound/http1-connection.ts'],
  ['data-plane/src/inbound', '../config.ts'],
] as const

const ALLOWED = [
  ['admin/src', '@postern/protocol/client'],
  ['admin/src/bootstrap', '@postern/protocol/store'],
  ['agent/src', '@postern/protocol/channel'],
  ['protocol/src/store', '@aws-sdk/client-dynamodb'],
  ['data-plane/src/inbound', '../proxy/proxy-request.ts'],
  ['data-plane/src/proxy', '../dispatch/dispatcher.ts'],
  ['local/src', '@postern/control-plane'],
] as const

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'postern-imports-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Files with one import each, under the rules of biome.json but outside of the tree; answers those that `npm run check` would refuse. */
function refused(imports: readonly (readonly [folder: string, door: string])[]): Set<string> {
  copyFileSync(join(root, 'biome.json'), join(folder, 'biome.json'))
  const files = imports.map(([where, door], index) => {
    const file = join(where, `case-${index}.ts`)
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), `import { something } from '${door}'\n\nsomething()\n`)
    return file
  })
  const { stdout, stderr } = spawnSync(
    join(root, 'node_modules/.bin/biome'),
    ['lint', '--vcs-enabled=false', '--only=style/noRestrictedImports', '--max-diagnostics=200', ...files],
    { cwd: folder, encoding: 'utf8' },
  )
  const said = stdout + stderr
  if (!said.includes('Checked')) throw new Error(`biome did not run: ${said}`)
  return new Set(files.flatMap((file, index) => (said.includes(`${file}:`) ? [imports[index]!.join(' → ')] : [])))
}

test('every import that the table forbids is refused', () => {
  expect(refused(FORBIDDEN)).toEqual(new Set(FORBIDDEN.map((pair) => pair.join(' → '))))
})

test('imports that the table allows are not', () => {
  expect(refused(ALLOWED)).toEqual(new Set())
})
