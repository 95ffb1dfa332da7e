/** The page a visitor's browser shows when there is no answer of the local server. Stands by itself: no script, no picture, nothing to fetch. */
import type { FaultCode } from '@postern/protocol/fault'

export interface FaultFacts {
  readonly code: FaultCode
  readonly status: number
  readonly title: string
  readonly advice: string
  /** May hold what the visitor sent. */
  readonly detail: string | undefined
  readonly requestId: string
}

/** Nothing but the page's own style, whatever else should ever get into it. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

type Side = 'you' | 'tunnel' | 'server' | 'service'

const SIDES: Readonly<Record<Side, string>> = {
  you: 'It is on your side: the request that was sent here.',
  tunnel: 'It is on the side of whoever runs this tunnel.',
  server: 'It is on the side of whoever runs this tunnel: the local server behind it. The tunnel itself works.',
  service: 'It is on the side of the tunnel service, not on yours.',
}

const TUNNEL: ReadonlySet<FaultCode> = new Set<FaultCode>([
  'nested-name',
  'tunnel-not-found',
  'tunnel-offline',
  'channel-lost',
  'channel-closed',
  'streams-exhausted',
  'visitor-not-allowed',
])

function sideOf(code: FaultCode, status: number): Side {
  if (code.startsWith('origin-') || code === 'stream-reset') return 'server'
  if (TUNNEL.has(code)) return 'tunnel'
  return status < 500 ? 'you' : 'service'
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

export function faultPage({ code, status, title, detail, advice, requestId }: FaultFacts): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>${status} · ${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark; --ground: #f6f6f3; --card: #fff; --ink: #1c1d1f; --soft: #56585e; --line: #deded8; --mark: #a3341c }
@media (prefers-color-scheme: dark) {
  :root { --ground: #131416; --card: #1c1e21; --ink: #ececea; --soft: #a6a9af; --line: #33363b; --mark: #ff9b80 }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--ground); color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { width: 100%; max-width: 36rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: clamp(1.5rem, 5vw, 2.5rem); overflow-wrap: anywhere }
.status { margin: 0 0 .5rem; color: var(--mark); font-weight: 600; letter-spacing: .04em }
h1 { margin: 0 0 1rem; font-size: clamp(1.35rem, 4vw, 1.7rem); line-height: 1.25; text-wrap: balance }
h2 { margin: 1.5rem 0 .25rem; font-size: .8rem; font-weight: 600; letter-spacing: .06em; text-transform: uppercase; color: var(--soft) }
p { margin: 0 }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 2rem 0 0; padding-top: 1.25rem; border-top: 1px solid var(--line); font-size: .875rem; color: var(--soft) }
dd { margin: 0 }
code { font: .85em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; color: var(--ink) }
</style>
</head>
<body>
<main>
<p class="status">${status}</p>
<h1>${escapeHtml(title)}</h1>
${detail === undefined ? '' : `<p>${escapeHtml(detail)}</p>\n`}<h2>Whose side</h2>
<p>${SIDES[sideOf(code, status)]}</p>
<h2>What to do</h2>
<p>${escapeHtml(advice)}</p>
<dl>
<dt>Code</dt><dd><code>${code}</code>, a section of docs/errors.md</dd>
<dt>Request</dt><dd><code>${escapeHtml(requestId)}</code></dd>
</dl>
</main>
</body>
</html>
`
}
