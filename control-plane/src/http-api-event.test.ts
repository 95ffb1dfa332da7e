import { describe, expect, test } from 'vitest'
import { type HttpApiEvent, parseEvent, toRequest } from './http-api-event.ts'

const event = (changes: Partial<HttpApiEvent> = {}, method = 'GET'): HttpApiEvent => ({
  ...{ version: '2.0', rawPath: '/', rawQueryString: '', headers: {}, isBase64Encoded: false },
  requestContext: { domainName: 'api.example.com', requestId: 'r', http: { method, sourceIp: '192.0.2.1' } },
  ...changes,
})
const pathOf = (rawPath: string) => new URL(toRequest(event({ rawPath })).url)

describe('HTTP APIs hand on the path decoded', () => {
  test.each([
    ['/v1/users/ann@example.com', '/v1/users/ann@example.com'],
    ['/v1/users/ann%40example.com', '/v1/users/ann%40example.com'],
    ['/v1/users/a?username=b', '/v1/users/a%3Fusername=b'],
    ['/v1/users/a#b', '/v1/users/a%23b'],
    ['/v1/users/a b', '/v1/users/a%20b'],
    ['/v1/users/a\\b', '/v1/users/a%5Cb'],
    ['/v1/users/\t\n', '/v1/users/%09%0A'],
    ['/v1/users/é', '/v1/users/%C3%A9'],
    ['/v1/users/100%', '/v1/users/100%'],
    ['//elsewhere.example/x', '//elsewhere.example/x'],
  ])('%j is the path %s, and neither query nor host', (rawPath, path) => {
    const { pathname, search, hash, host } = pathOf(rawPath)
    expect([pathname, search, hash, host]).toEqual([path, '', '', 'api.example.com'])
  })
})

test('the query is taken as it was sent', () => {
  const { search } = new URL(toRequest(event({ rawQueryString: 'a=%2F&b=%26&a=1' })).url)
  expect(search).toBe('?a=%2F&b=%26&a=1')
})

test.each([
  ['POST', 'text', false],
  ['PUT', 'dGV4dA==', true],
  ['PATCH', 'text', false],
  ['DELETE', 'dGV4dA==', true],
])('the body of %s is read, in base64 or not', async (method, body, isBase64Encoded) => {
  expect(await toRequest(event({ body, isBase64Encoded }, method)).text()).toBe('text')
})

test.each(['GET', 'POST', 'DELETE'])('%s may have none', async (method) => {
  expect(toRequest(event({}, method)).body).toBeNull()
})

test('a body of GET is passed over', () => {
  expect(toRequest(event({ body: 'text' })).body).toBeNull()
})

test('a field of characters beyond Latin-1 is the bytes that were sent', () => {
  const { headers } = toRequest(event({ headers: { authorization: 'Bearer \u{1f511}' } }))
  expect(Buffer.from(headers.get('authorization') ?? '', 'latin1').toString()).toBe('Bearer \u{1f511}')
})

test.each([
  ['of a queue', { Records: [] }],
  ['of payload 1.0', { ...event(), version: '1.0' }],
  ['without an address', { ...event(), requestContext: { domainName: 'a', requestId: 'r', http: { method: 'GET' } } }],
])('an event %s is refused', (_, payload) => {
  expect(() => parseEvent(payload)).toThrow()
})
