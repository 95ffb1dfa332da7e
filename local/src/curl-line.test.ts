import { expect, test } from 'vitest'
import { curlLine } from './curl-line.ts'

const line = (version: string | undefined, resolves: boolean) =>
  curlLine('http://demo.localhost:8080', { curlVersion: async () => version, resolves: async () => resolves })

test.each(['curl 7.85.0 (x86_64)', 'curl 7.88.1', 'curl 8.5.0 (aarch64-apple)', 'curl 10.0.0'])(
  '%s knows *.localhost by itself',
  async (version) => {
    expect(await line(version, false)).toBe('curl http://demo.localhost:8080/')
  },
)

test.each(['curl 7.81.0 (x86_64)', 'curl 7.9.8', undefined, 'something else'])(
  '%s needs a system that does, or the name in the Host field',
  async (version) => {
    expect(await line(version, true)).toBe('curl http://demo.localhost:8080/')
    expect(await line(version, false)).toBe("curl -H 'Host: demo.localhost:8080' http://127.0.0.1:8080/")
  },
)

test('a URL without a port stays without', async () => {
  const old = { curlVersion: async () => undefined, resolves: async () => false }
  expect(await curlLine('http://demo.localhost', old)).toBe("curl -H 'Host: demo.localhost' http://127.0.0.1/")
})
