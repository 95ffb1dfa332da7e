import { expect, test } from 'vitest'
import { reportText } from './report.ts'

test('a report has dates, counts, and a row with a verdict for each check', () => {
  const at = new Date('2027-01-15T08:00:00Z')
  const page = reportText({
    title: 'AWS, eu-central-1, service postern',
    server: 'https://tunnel.example.com',
    began: at,
    ended: new Date('2027-01-15T08:09:00Z'),
    results: [
      { title: 'first', verdict: { outcome: 'passed', detail: 'a | b' }, at },
      { title: 'second', verdict: { outcome: 'failed', detail: '1 of 2\nfailed' }, at },
      { title: 'third', verdict: { outcome: 'not measurable', detail: 'no metric' }, at },
    ],
  })
  expect(page).toContain('From 2027-01-15T08:00:00.000Z to 2027-01-15T08:09:00.000Z')
  expect(page).toContain('1 passed, 1 failed, 1 not measurable here')
  expect(
    page
      .split('\n')
      .filter((row) => row.startsWith('| '))
      .slice(1),
  ).toEqual([
    '| first | **passed** | a \\| b | 2027-01-15T08:00:00.000Z |',
    '| second | **failed** | 1 of 2 failed | 2027-01-15T08:00:00.000Z |',
    '| third | **not measurable** | no metric | 2027-01-15T08:00:00.000Z |',
  ])
})
