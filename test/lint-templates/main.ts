/** Lints the synthesised templates of every context, and the Dockerfile: `npm run lint:templates`. Prints each finding that accepted.ts does not name. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CONTEXTS, synthesised } from '../../cdk/lib/testing/synthesised.ts'
import { ACCEPTED } from './accepted.ts'
import { cfnLint, checkov, hadolint, installLinters } from './linters.ts'

interface Resources {
  readonly Resources: Readonly<Record<string, { readonly Type: string }>>
}

const folder = mkdtempSync(join(tmpdir(), 'postern-lint-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

const run = await installLinters()
const templates = new Map<string, Resources>()
for (const context of CONTEXTS) {
  for (const [stack, template] of Object.entries(synthesised(context).template)) {
    const name = `${context.replaceAll(' ', '-')}.${stack}.template.json`
    templates.set(name, template.toJSON() as Resources)
    writeFileSync(join(folder, name), JSON.stringify(template.toJSON(), null, 1))
  }
}
const dockerfile = join(folder, 'Dockerfile')
await copyFile(fileURLToPath(new URL('../../data-plane/Dockerfile', import.meta.url)), dockerfile)

const files = [...templates.keys()].map((name) => join(folder, name))
const typeOf = (file: string, id: string): string => templates.get(basename(file))?.Resources[id]?.Type ?? 'unknown'
const { findings, resources } = await checkov(run, folder)
const found = [...(await cfnLint(run, files, typeOf)), ...findings, ...(await hadolint(run, dockerfile))]

const key = ({ rule, subject }: { rule: string; subject: string }): string => `${rule} ${subject}`
const accepted = new Set(ACCEPTED.map(key))
const open = found.filter((finding) => !accepted.has(key(finding)))
const stale = ACCEPTED.filter((entry) => !found.some((finding) => key(finding) === key(entry)))
for (const { rule, subject, place, message } of open) console.error(`${rule} ${subject} (${place}): ${message}`)
for (const entry of stale) console.error(`${key(entry)} is in accepted.ts, and nothing has it any more`)
// A linter that was given nothing finds nothing.
if (resources === 0) throw new Error('checkov has checked no resource')
console.log(
  `${files.length} templates and a Dockerfile: ${found.length} findings, ${found.length - open.length} of them accepted for ${ACCEPTED.length} reasons, ${open.length} open.`,
)
if (open.length + stale.length > 0) process.exitCode = 1
