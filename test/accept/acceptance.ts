/** One acceptance run: the checks in order, and the removal of what they made. */
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { isIPv6 } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { ApiClient } from '@postern/protocol/client'
import { Account } from './account.ts'
import type { Deployment } from './deployment.ts'
import { locateFlows, startFlowProbe } from './flow-probe.ts'
import { judgeHealthChecks } from './health-checks.ts'
import { judgeHealthyHosts } from './healthy-hosts.ts'
import { judgeLateFlows } from './late-flows.ts'
import { startLoad } from './load.ts'
import { GREETING, INVALID_PATH, STREAM_PATH, startLocalServer, VISITOR_PATH } from './local-server.ts'
import type { CheckResult } from './report.ts'
import { judgeRequests } from './requests.ts'
import { judgeRevocation, REVOCATION_MS } from './revocation.ts'
import { judgeStopOrder } from './stop-order.ts'
import { failed, notMeasurable, passed, type Verdict } from './verdict.ts'
import { startRequest, visit } from './visit.ts'

export interface AcceptanceOptions {
  readonly deployment: Deployment
  /** With the token of an administrator. */
  readonly api: ApiClient
  readonly server: string
  readonly signal: AbortSignal
  /** One line about the progress. */
  progress(line: string): void
}

const REQUESTS_PER_SECOND = 20
const FLOWS_PER_SECOND = 5
/** Longer than the promise, so that the report has the time by which it was missed. */
const REVOCATION_PATIENCE_MS = 4 * REVOCATION_MS

/**
 * A step that has no result is a failed check, and the last one. What was made is removed, however the run ends.
 * @throws what `signal` was aborted with
 */
export async function runAcceptance(options: AcceptanceOptions): Promise<CheckResult[]> {
  const { api, server, signal, progress } = options
  const localServer = await startLocalServer()
  const results: CheckResult[] = []
  const note = (title: string, verdict: Verdict): void => {
    results.push({ title, verdict, at: new Date() })
    progress(`${verdict.outcome}: ${title}. ${verdict.detail}`)
  }
  const account = Account.named({ api, server, target: localServer.port })
  try {
    progress(`making account ${account.username}, which is deleted at the end`)
    await account.create(signal)
    await runChecks(options, account, note)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    note('The run', failed(`ended early: ${error instanceof Error ? error.message : String(error)}`))
  } finally {
    await account.remove().finally(() => localServer.stop())
    progress(`account ${account.username} is deleted`)
  }
  return results
}

async function runChecks(
  { deployment, signal, progress }: AcceptanceOptions,
  account: Account,
  note: (title: string, verdict: Verdict) => void,
): Promise<void> {
  const { visitors } = deployment
  const urls = []
  for (const suffix of ['one', 'two']) urls.push(new URL((await account.open(suffix, signal)).tunnel.url))

  note('PROXY v2 for IPv6 clients', await checkIpv6(urls[0]!, visitors))
  const hosts = await deployment.healthyHosts(signal)
  note(
    'HealthyHostCount counts the nodes of all zones',
    'reason' in hosts ? notMeasurable(hosts.reason) : judgeHealthyHosts(hosts),
  )

  progress('every node is replaced, under requests')
  const load = startLoad({ urls, visitors, perSecond: REQUESTS_PER_SECOND, expected: GREETING })
  const probe = startFlowProbe({ url: new URL(INVALID_PATH, urls[0]), visitors, perSecond: FLOWS_PER_SECOND })
  const ended = async () => ({ tally: await load.stop(), probed: await probe.stop() })
  const replacement = await deployment.replaceNodes(signal).catch(async (error) => {
    await ended()
    throw error
  })
  const { tally, probed } = await ended()
  const { previous, current } = replacement
  progress('the logs are read')
  const events = await deployment.events(previous, signal)
  const flows = await locateFlows(probed, (requestId) => deployment.nodeOf(requestId, signal))
  note('No request fails across a deployment', judgeRequests(tally, previous.length))
  note('PROXY header on health checks at another port', judgeHealthChecks(current, flows, deployment.checksHaveHeader))
  note('Deregistration comes before SIGTERM', judgeStopOrder(previous, events))
  note('New connections after deregistration are served', judgeLateFlows(previous, events, flows))

  note(
    `A revoked token’s tunnel ends within ${REVOCATION_MS / 1000} s`,
    await checkRevocation(deployment, account, signal),
  )
}

async function checkIpv6(url: URL, visitors: Deployment['visitors']): Promise<Verdict> {
  if (visitors !== undefined) return notMeasurable('The local balancer has no IPv6 address.')
  try {
    await lookup(url.hostname, { family: 6 })
  } catch (error) {
    return notMeasurable(`The deployment’s names have no IPv6 address (${codeOf(error)}): it is not dual stack.`)
  }
  const { failure, body, localAddress, status } = await visit({ url: new URL(VISITOR_PATH, url), visitors, family: 6 })
  if (status === 0) return notMeasurable(`This machine reaches no IPv6 address (${failure}).`)
  if (failure !== undefined) return failed(`The request came to ${failure}.`)
  if (!isIPv6(body)) return failed('The local server got no IPv6 address of the visitor.')
  return passed(
    `The local server got an IPv6 address, ${body === localAddress ? 'the' : 'not the'} one of this machine.`,
  )
}

async function checkRevocation(deployment: Deployment, account: Account, signal: AbortSignal): Promise<Verdict> {
  const { visitors } = deployment
  const { tunnel, tokenId } = await account.open('revoked', signal)
  const url = new URL(tunnel.url)
  const request = startRequest({ url: new URL(STREAM_PATH, url), visitors })
  request.end()
  const [response] = (await once(request, 'response', { signal })) as [IncomingMessage]
  // Without a listener the cut would be an exception.
  for (const side of [request, response]) side.on('error', () => undefined)
  if (response.statusCode !== 200) throw new Error(`A new tunnel answers ${response.statusCode}.`)
  await once(response, 'data', { signal })
  const cut = timeOf(new Promise((resolve) => response.once('close', resolve)))
  const agent = timeOf(tunnel.closed)
  response.resume()
  try {
    const asked = performance.now()
    await account.revoke(tokenId, signal)
    const answered = performance.now()
    const late = delay(REVOCATION_PATIENCE_MS, undefined, { signal, ref: false })
    const [cutAt, agentAt] = await Promise.all([cut, agent].map((time) => Promise.race([time, late])))
    if (cutAt !== undefined && cutAt < asked) throw new Error('The response ended before the token was revoked.')
    const since = (at: number | undefined) => (at === undefined ? undefined : Math.max(0, at - answered))
    const { status } = await visit({ url, visitors })
    return judgeRevocation({ cutMs: since(cutAt), agentMs: since(agentAt), statusAfter: status })
  } finally {
    request.destroy()
  }
}

const timeOf = (event: Promise<unknown>): Promise<number> => event.then(() => performance.now())

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error)
