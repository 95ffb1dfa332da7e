/** The metrics page of a task, read as numbers. */
import { askOnce } from './http-client.ts'
import { contentOf } from './http-message.ts'

/** The value of each series. */
export async function readMetrics(opsPort: number): Promise<Map<string, number>> {
  const answer = await askOnce(opsPort, 'GET /metrics HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n')
  const series = contentOf(answer)
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    series.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  )
}
