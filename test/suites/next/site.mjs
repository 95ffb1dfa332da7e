/** Writes the site that Next.js serves: pages of both kinds of components, routes, a server action, and answers that wait until they are released. Knows nothing of Next.js's server. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** What stands in the documentation for whoever comes through a tunnel of one's own domain. */
const config = (domain) => `export default {
  allowedDevOrigins: ['*.${domain}'],
  // The packages stand elsewhere, behind a link.
  turbopack: { root: '/' },
}
`

const FILES = {
  'package.json': '{"name":"site","private":true}\n',
  'app/layout.jsx': `export default function Layout({ children }) {
  return <html lang="en"><head><link rel="icon" href="data:," /></head><body>{children}</body></html>
}
`,
  'app/page.jsx': `import { headers } from 'next/headers'
import Link from 'next/link'
import Counter from './counter'
export default async function Page() {
  const host = (await headers()).get('host')
  return (
    <main>
      <h1 id="heading">server one</h1>
      <p id="host">{host}</p>
      <Counter />
      <Link id="about" href="/about">about</Link>
    </main>
  )
}
`,
  'app/counter.jsx': `'use client'
import { useState } from 'react'
import './style.css'
export default function Counter() {
  const [count, setCount] = useState(0)
  return <button id="counter" onClick={() => setCount(count + 1)}>client one {count}</button>
}
`,
  'app/style.css': '#heading { color: rgb(1, 2, 3) }\n',
  'app/about/page.jsx': `export default function About() {
  return <h1 id="about-heading">about</h1>
}
`,
  'app/gates.js': `const gates = (globalThis.gates ??= new Map())
/** Opened by whoever asks for /api/open. */
export function gate(id) {
  if (!gates.has(id)) {
    const one = {}
    one.opened = new Promise((resolve) => { one.open = resolve })
    gates.set(id, one)
  }
  return gates.get(id)
}
`,
  'app/api/echo/route.js': `export const GET = (request) => Response.json({ query: request.nextUrl.search }, { headers: { 'x-own': 'yes' } })
export async function POST(request) {
  return Response.json({ got: await request.json(), method: request.method }, { status: 201 })
}
`,
  'app/api/open/route.js': `import { gate } from '../../gates'
export async function GET(request) {
  gate(request.nextUrl.searchParams.get('id')).open()
  return new Response(null, { status: 204 })
}
`,
  'app/api/moved/route.js': `import { redirect } from 'next/navigation'
export const GET = () => redirect('/about')
`,
  'app/api/stream/route.js': `import { gate } from '../../gates'
export function GET(request) {
  const id = request.nextUrl.searchParams.get('id')
  let piece = 0
  const body = new ReadableStream({
    async pull(controller) {
      if (piece === 5) return controller.close()
      if (piece > 0) await gate(id + piece).opened
      controller.enqueue(new TextEncoder().encode('piece ' + piece++))
    },
  }, { highWaterMark: 0 })
  return new Response(body, { headers: { 'content-type': 'text/plain' } })
}
`,
  'app/slow/page.jsx': `import { Suspense } from 'react'
import { gate } from '../gates'
async function Late({ id }) {
  await gate(id).opened
  return <p id="late">late</p>
}
export default async function Slow({ searchParams }) {
  const { id } = await searchParams
  return <main><h1 id="heading">slow</h1><Suspense fallback={<p id="fallback">wait</p>}><Late id={id} /></Suspense></main>
}
`,
  'app/form/page.jsx': `import { cookies } from 'next/headers'
async function save(data) {
  'use server'
  ;(await cookies()).set('said', data.get('said'))
}
export default async function Form() {
  return (
    <form action={save}>
      <input name="said" id="said" />
      <button id="send">send</button>
      <p id="saved">{(await cookies()).get('said')?.value}</p>
    </form>
  )
}
`,
}

/** @param domain below which its visitors' tunnels are */
export async function writeSite(folder, domain) {
  for (const [name, text] of [...Object.entries(FILES), ['next.config.mjs', config(domain)]]) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
}
