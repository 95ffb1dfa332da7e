/** The demo server's page as HTML. Everything a visitor sent is escaped; nothing is loaded from elsewhere. */
import type { SeenRequest } from './demo-server.ts'

export function demoPage({ method, url, httpVersion, fields, bodyBytes }: SeenRequest): string {
  const rows = fields.map(([name, value]) => `<tr><th scope="row">${escaped(name)}</th><td>${escaped(value)}</td></tr>`)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Postern: it works</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent) }
  body { font: 16px/1.55 system-ui, sans-serif; max-width: 46rem; margin: 12vh auto 4rem; padding: 0 1.5rem }
  h1 { font-size: 1.6rem; font-weight: 650; letter-spacing: -.01em; margin: 0 0 .3rem }
  p { margin: 0 0 2rem; opacity: .8 }
  h2 { font-size: .95rem; font-weight: 600; margin: 2.2rem 0 .6rem }
  code, td, th { font: .85rem/1.5 ui-monospace, monospace }
  table { border-collapse: collapse; width: 100% }
  th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere }
  th { white-space: nowrap; font-weight: 500; opacity: .7 }
  output { font-variant-numeric: tabular-nums; font-weight: 600 }
</style>
<main>
  <h1>It works.</h1>
  <p>This page comes from a server on your machine, through a real tunnel: your browser, the data plane, an encrypted
    channel, the agent, the local server, and back.</p>
  <h2>Your request, as the local server saw it</h2>
  <code>${escaped(`${method} ${url} HTTP/${httpVersion}`)}</code> · ${bodyBytes} bytes of body
  <table>${rows.join('')}</table>
  <h2>An event stream through the same tunnel</h2>
  <span>Event <output id="count">0</output>, one each second, as soon as it is sent.</span>
</main>
<script>
  const count = document.getElementById('count')
  new EventSource('/events').onmessage = (event) => { count.textContent = event.data }
</script>
</html>
`
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => ESCAPES[character]!)
