import { expect, test } from 'vitest'
import { RequestRecord } from '../proxy/request-record.ts'
import { metricsPage } from './metrics-page.ts'
import { TaskCounts } from './task-counts.ts'

test('what is counted comes out as Prometheus reads it, since the beginning and with labels of closed lists', async () => {
  let now = 0
  const counts = new TaskCounts({ standing: () => [{ traffic: { in: 70, out: 80 } }], linesDropped: () => 3 })
  const record = new RequestRecord('192.0.2.1', () => now)
  record.admitted(record.begin('r', { method: 'GET', host: 'demo.example.com', path: '/' }, 10, 'HTTP/1.1'), undefined)
  now = 7
  record.answered(200)
  record.bytesOut = 100
  now = 40
  record.over('whole')
  counts.request()
  counts.held()
  counts.hop()
  counts.hop()
  counts.hopFailed()
  counts.lookup()
  counts.agentMoved()
  counts.requestOver(record)
  counts.fault('origin-refused')
  counts.openingRefused('ticket-refused')
  counts.opening(30)
  counts.take()
  const page = metricsPage({
    counts,
    gauges: () => ({ tunnels: 4, activeStreams: 5, leaseAge: 1800, heldBytes: 6 }),
    visitors: () => 9,
  })
  expect(page.contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
  for (let i = 0; i < 2; i++) {
    const lines = (await page.text()).split('\n')
    expect(lines).toEqual(
      expect.arrayContaining([
        'postern_requests_total{class="2xx"} 1',
        'postern_requests_total{class="none"} 0',
        'postern_request_heads_total 1',
        'postern_requests_held_total 1',
        'postern_requests_retried_total 0',
        'postern_hops_total 2',
        'postern_hop_failures_total 1',
        'postern_route_lookups_total 1',
        'postern_agents_moved_total 1',
        'postern_late_lease_age_seconds 1.8',
        'postern_request_duration_seconds_bucket{le="0.025"} 0',
        'postern_request_duration_seconds_bucket{le="0.05"} 1',
        'postern_request_duration_seconds_bucket{le="+Inf"} 1',
        'postern_request_duration_seconds_sum 0.04',
        'postern_request_duration_seconds_count 1',
        'postern_origin_duration_seconds_bucket{le="0.005"} 0',
        'postern_origin_duration_seconds_bucket{le="0.01"} 1',
        'postern_visitor_bytes_total{direction="in"} 10',
        'postern_visitor_bytes_total{direction="out"} 100',
        'postern_channel_bytes_total{direction="in"} 70',
        'postern_channel_bytes_total{direction="out"} 80',
        'postern_faults_total{code="origin-refused"} 1',
        'postern_openings_refused_total{code="ticket-refused"} 1',
        'postern_opening_duration_seconds_count 1',
        'postern_access_log_dropped_lines_total 3',
        'postern_tunnels 4',
        'postern_active_streams 5',
        'postern_held_bytes 6',
        'postern_visitor_connections 9',
      ]),
    )
    expect(lines.some((line) => line.startsWith('process_cpu_seconds_total '))).toBe(true)
    expect(lines.filter((line) => line.includes('demo'))).toEqual([])
  }
})
