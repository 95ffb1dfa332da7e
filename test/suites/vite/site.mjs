/** Writes the site that Vite serves: a page, 300 modules, one that takes its own updates and one that does not. Knows nothing of Vite. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const MODULES = 300

const FILES = {
  'index.html': `<!doctype html>
<meta charset="utf-8" /><title>suite</title><link rel="icon" href="data:," />
<h1 id="heading"></h1><p id="count"></p><p id="leaf"></p>
<script type="module" src="/main.js"></script>
`,
  'main.js': `import './style.css'
import './heading.js'
import { leaf } from './leaf.js'
${Array.from({ length: MODULES }, (_, index) => `import m${index} from './modules/${index}.js'`).join('\n')}
const all = [${Array.from({ length: MODULES }, (_, index) => `m${index}`)}]
document.getElementById('count').textContent = all.filter((value, index) => value === index).length + ' modules'
document.getElementById('leaf').textContent = leaf
import.meta.hot.send('suite:hello')
import.meta.hot.on('suite:hello', () => { window.connected = true })
`,
  'heading.js': `export const text = 'first'
document.getElementById('heading').textContent = text
import.meta.hot.accept()
`,
  'leaf.js': "export const leaf = 'green'\n",
  'style.css': '#heading { color: rgb(1, 2, 3) }\n',
}

export async function writeSite(folder) {
  await mkdir(join(folder, 'modules'), { recursive: true })
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder, name), text)
  for (let index = 0; index < MODULES; index++) {
    await writeFile(join(folder, 'modules', `${index}.js`), `export default ${index}\n`)
  }
}
