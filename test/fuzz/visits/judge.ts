/** The model: what visitors may have seen and local servers may have got, given what was sent to and by whom. Knows nothing of how it is done. */
import type { Attempt } from './local-server.ts'
import { isIdempotent } from './plan.ts'
import type { NotedRecord, VisitCase } from './visit-case.ts'
import type { SeenResponse, Visit, Visitor } from './visitor.ts'
import { endsBetweenFrames } from './wire.ts'

/** Attempts for one request beyond which it would go round for ever. */
const MOST_ATTEMPTS = 12

export function judge(visited: VisitCase): void {
  for (const attempt of visited.attempts) judgeAttempt(visited, attempt)
  for (const visitor of visited.visitors) judgeVisitor(visited, visitor)
  judgeStreams(visited)
  judgeRecords(visited)
}

// ── what local servers got ──────────────────────────────────────────────────────────────────────────────────────────

function judgeAttempt(visited: VisitCase, attempt: Attempt): void {
  const { request, index, head, body, whole } = attempt
  const name = `/${request.id}.${index}`
  const say = (what: string): void => visited.violated(`${name} at its local server: ${what}`)
  if (!head.start.startsWith(`${request.method} `)) say(`method of ${head.start}`)
  if (head.fields.get('host') !== 'demo.example.com') say(`host ${head.fields.get('host')}`)
  if (head.fields.get('x-forwarded-for') === undefined) say('nothing says who visits')
  if (!request.body.startsWith(body)) say(`a body that was not sent: ${JSON.stringify(body.slice(0, 60))}`)
  if (whole && body !== request.body) say(`${body.length} bytes look whole, of ${request.body.length}`)
  if (whole && !visitOf(visited, request.id).sentWhole) say('whole, and its visitor has not sent it whole')
  if (request.refused) say('the access policy refuses it')
  if (index > 0 && !isIdempotent(request.method)) say(`${request.method} came a second time`)
  if (index >= MOST_ATTEMPTS) say('sent again and again')
}

function visitOf(visited: VisitCase, id: number): Visit {
  for (const visitor of visited.visitors)
    for (const visit of visitor.visits()) if (visit.request.id === id) return visit
  throw new Error(`no request ${id}`)
}

// ── what visitors saw ───────────────────────────────────────────────────────────────────────────────────────────────

function judgeVisitor(visited: VisitCase, visitor: Visitor): void {
  let last = false
  for (const visit of visitor.visits()) {
    const name = `visitor ${visitor.index}, /${visit.request.id}`
    const say = (what: string): void => visited.violated(`${name}: ${what}`)
    const { response } = visit
    if (response !== undefined && !visit.begun) say('answered before it was sent')
    if (response !== undefined && last) say('answered behind a response that was the last')
    if (response !== undefined) judgeResponse(visited, visit, response, say)
    const legitimate = response?.last === true && mayBeLast(visited, visit)
    if (visited.plan.benign && !visitor.hasLeft && !last) judgeBenign(visit, legitimate, say)
    last ||= response?.last === true
  }
  const held = visitor.mostWaiting
  if (held > mostHeld(visited)) visited.violated(`visitor ${visitor.index}: ${held} bytes waited for it`)
  if (visitor.unasked !== '') visited.violated(`visitor ${visitor.index}: unasked ${JSON.stringify(visitor.unasked)}`)
}

/** A window of its stream, which is credited for nothing that waits; each byte of it may have become a chunk; and heads and answers of ours. */
const mostHeld = ({ plan }: VisitCase): number => 12 * plan.window + 8 * 1024

function judgeResponse(visited: VisitCase, visit: Visit, response: SeenResponse, say: (what: string) => void): void {
  const code = response.head.fields.get('tunnel-error')
  if (code !== undefined) return judgeFault(visited, visit, response, code, say)
  const { request } = visit
  const attempts = visited.attempts.filter((each) => each.request === request)
  const tag = response.head.fields.get('x-attempt')
  const attempt = attempts.at(-1)
  if (attempt === undefined || tag !== `${request.id}.${attempt.index}`)
    return say(`the response of ${tag}, while the last attempt was ${attempt?.index}`)
  const { answer } = attempt
  if (answer.invalid) say('a response that breaks the rules was passed on')
  if (response.status !== answer.status) say(`status ${response.status}, not ${answer.status}`)
  if (closedByUs(visited, request, response, answer.body)) return
  if (!answer.body.startsWith(response.body))
    say(
      `a body that was not sent: …${JSON.stringify(response.body.slice(-60))}, ${response.body.length} of ${answer.body.length}, ${answer.wire.slice(0, answer.headEnd)}`,
    )
  // Where the body ends with its connection, what an orderly end cuts off is nobody's to see.
  const body = answer.byClose ? answer.body.slice(0, Math.max(0, attempt.sent - answer.headEnd)) : answer.body
  const sentWhole = answer.byClose ? attempt.server.endedByFin : attempt.sent >= answer.wire.length
  if (response.ending === 'whole' && (response.body !== body || !sentWhole))
    say(`${response.body.length} bytes look whole, of ${body.length}; ${attempt.sent} of ${answer.wire.length} sent`)
  if (response.interims.some((status) => status === 100) && !answer.interims.includes(100))
    say('a 100 that nobody sent')
  if (answer.status === 101 && !visit.behind.startsWith(attempt.spliced))
    say('bytes after the upgrade that were not sent')
}

/** By which events each fault is explained; an entry that is a function looks at the request. */
function judgeFault(
  visited: VisitCase,
  { request }: Visit,
  response: SeenResponse,
  code: string,
  say: (what: string) => void,
): void {
  const { plan, happened, clock } = visited
  const attempts = visited.attempts.filter((each) => each.request === request)
  const broken = attempts.some(({ answer }) => answer.stopsAt < answer.wire.length || answer.afterwards === 'resets')
  const stale = plan.closesIdle || visited.book.leases.some(({ reused }) => reused)
  // A node that has begun to answer another one can only cut it off, and what it had sent may not have arrived.
  const ended = happened.size > 0 || plan.streams < 256 || clock.passed >= 1000
  const unexplained = plan.inbound === 'peer' && ended
  const explained: Record<string, boolean> = {
    'visitor-not-allowed': request.refused,
    'origin-invalid':
      attempts.some(({ answer }) => answer.invalid) || visited.attempts.some(({ answer }) => answer.excess !== ''),
    'origin-closed': broken || stale || unexplained || attempts.some(({ answer }) => answer.begins === 'never'),
    'origin-refused': !plan.benign,
    'origin-timeout': clock.passed >= 60_000,
    'body-timeout': clock.passed >= 1000,
    'store-unavailable': plan.lookupsFail || (plan.lookups > 0 && clock.passed >= 10_000),
    'visitor-checks-busy': plan.gate === 'takes-time' && clock.passed >= 10_000,
    'tunnel-offline': happened.has('away'),
    'tunnel-moved':
      happened.has('peer-drain') ||
      happened.has('fence') ||
      happened.has('stale') ||
      plan.replaced > 0 ||
      happened.has('lost'),
    'channel-lost': happened.has('lost'),
    'channel-closed': happened.has('lost'),
    'streams-exhausted': plan.streams < 256,
    'server-draining': happened.has('terminate') || happened.has('drain') || happened.has('cut'),
    'peer-unreachable': happened.has('fence'),
    'request-invalid': request.broken,
    'visitors-exhausted': plan.places > 0,
    'tunnel-not-found': plan.lookupsFail,
    'head-timeout': clock.passed >= 10_000,
  }
  if (explained[code] !== true) say(`${code} is explained by nothing`)
  if (response.status < 400) say(`${code} with status ${response.status}`)
  if (code === 'visitor-not-allowed') return
  const answered = attempts.find(
    ({ answer, sent }) => !answer.invalid && sent >= answer.wire.length && answer.begins !== 'never',
  )
  // It was all out, and its stream stood: that it comes too late has to have a reason.
  if (answered !== undefined && plan.benign) say(`${code}, though ${answered.index} was answered whole`)
}

/** Where nothing goes wrong every request is answered, whole and by its local server. */
function judgeBenign(visit: Visit, legitimate: boolean, say: (what: string) => void): void {
  const { request, response } = visit
  if (response === undefined) return say('not answered, though nothing went wrong')
  if (response.ending !== 'whole') return say(`its response is ${response.ending}, though nothing went wrong`)
  const code = response.head.fields.get('tunnel-error')
  if (code !== undefined && !(request.refused && code === 'visitor-not-allowed'))
    say(`${code}, though nothing went wrong`)
  if (response.last && !legitimate) say('its connection was closed for no reason')
}

/** Of 1012, as we send it where the node or its place ends (RFC 6455 §7.4.1 and its registry). */
const RESTART = '\x88\x02\x03\xf4'

/** A WebSocket that was closed between two frames. */
function closedByUs(visited: VisitCase, request: Visit['request'], { body }: SeenResponse, sent: string): boolean {
  if (request.upgrade !== 'websocket' || !body.endsWith(RESTART)) return false
  const passed = body.slice(0, -RESTART.length)
  const ends = visited.happened.has('terminate') || visited.plan.streams < 256
  return ends && sent.startsWith(passed) && endsBetweenFrames(passed)
}

function mayBeLast(visited: VisitCase, { request, response }: Visit): boolean {
  if (request.connection === 'close' || (request.version === 10 && request.connection !== 'keep-alive')) return true
  // A refusal before the body was read.
  if (request.refused && request.framing !== 'none') return true
  if (request.expect || request.upgrade !== '') return true
  const attempt = visited.attempts.findLast((each) => each.request === request)
  if (request.version === 10) return true
  // The rest of the request may never come.
  if (attempt?.answer.begins === 'early') return true
  return response?.head.fields.get('tunnel-error') !== undefined && request.framing !== 'none'
}

// ── streams and records ─────────────────────────────────────────────────────────────────────────────────────────────

function judgeStreams(visited: VisitCase): void {
  for (const attempt of visited.attempts) {
    const { server, request } = attempt
    if (!request.signsIn && !(attempt.answer.offers && attempt.sent >= attempt.answer.headEnd)) continue
    const from = server.attempts.indexOf(attempt)
    const others = server.attempts.slice(from).filter((each) => ownerOf(visited, each) !== ownerOf(visited, attempt))
    if (others.length > 0)
      visited.violated(`/${request.id}: its sign-in shares a stream with /${others[0]!.request.id}`)
  }
}

const ownerOf = (visited: VisitCase, { request }: Attempt): number =>
  visited.visitors.findIndex(({ planned }) => planned.requests.includes(request))

function judgeRecords(visited: VisitCase): void {
  const headed = visited.records.filter(({ path }) => path !== undefined)
  if (headed.length !== visited.begun)
    visited.violated(`${visited.begun} requests began and ${headed.length} were over`)
  const seen = new Map<string, NotedRecord>()
  for (const record of headed) {
    if (seen.has(record.id)) visited.violated(`${record.path} was over twice`)
    seen.set(record.id, record)
  }
  for (const visitor of visited.visitors)
    for (const { request, response } of visitor.visits()) {
      const records = headed.filter(({ path }) => path === `/${request.id}`)
      if (records.length > 1) visited.violated(`/${request.id} has ${records.length} records`)
      const [record] = records
      if (record === undefined) {
        const unread = visited.records.some(({ path, status }) => path === undefined && status === response?.status)
        if (response !== undefined && !unread) visited.violated(`/${request.id} was answered without a record`)
        continue
      }
      if (visitor.hasLeft || response === undefined) continue
      const whole = response.ending === 'whole'
      if (whole && record.status !== response.status)
        visited.violated(`/${request.id}: ${record.status} is recorded, ${response.status} was seen`)
      if (whole && visitOf(visited, request.id).sentWhole && (record.end === 'cut' || record.end === 'abandoned'))
        visited.violated(`/${request.id}: ${record.end} is recorded, and its visitor has it whole`)
      if (!whole && response.ending === 'cut' && record.end === 'refused')
        visited.violated(`/${request.id}: refused is recorded, and its visitor was cut off`)
    }
}
