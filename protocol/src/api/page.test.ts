import { expect, test } from 'vitest'
import * as z from 'zod/mini'
import { pageQuery } from './page.ts'

test('a cursor may hold the longest sort key, in base64 in JSON, since a node chooses keys of its audit', () => {
  const cursor = Buffer.from(JSON.stringify({ after: 'x'.repeat(1024), name: 'audit of 2027-01-15' })).toString(
    'base64url',
  )
  expect(z.object(pageQuery).safeParse({ cursor }).success).toBe(true)
  expect(z.object(pageQuery).safeParse({ cursor: 'x'.repeat(5000) }).success).toBe(false)
})
