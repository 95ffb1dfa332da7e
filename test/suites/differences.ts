/** Every check of a suite that comes out otherwise through the tunnel, with the reason why it must. What is not here may not differ. */

interface Difference {
  readonly suite: string
  readonly reason: string
  readonly checks: readonly string[]
}

const below = (title: string, checks: readonly string[]): string[] => checks.map((check) => `${title} ${check}`)

const DIFFERENCES: readonly Difference[] = [
  {
    suite: 'Express',
    reason: 'The Host of a request says which tunnel it is for: one that names another site is not for this one.',
    checks: [
      ...['req .host', 'req .hostname'].flatMap((title) =>
        below(title, [
          'should return the Host when present',
          'should strip port number',
          'should work with IPv6 Host',
          'should work with IPv6 Host and port',
          'when "trust proxy" is enabled should default to Host',
          'when "trust proxy" is enabled should respect X-Forwarded-Host',
          'when "trust proxy" is enabled should ignore X-Forwarded-Host if socket addr not trusted',
          'when "trust proxy" is disabled should ignore X-Forwarded-Host',
        ]),
      ),
      'req .host when "trust proxy" is enabled when trusting hop count should respect X-Forwarded-Host',
      ...below('req .hostname when "trust proxy" is enabled when multiple X-Forwarded-Host', [
        'should use the first value',
        'should remove OWS around comma',
        'should strip port number',
      ]),
      ...below('req .subdomains', [
        'when present should return an array',
        'when present should work with IPv4 address',
        'when present should work with IPv6 address',
        'otherwise should return an empty array',
        'when subdomain offset is set when subdomain offset is zero should return an array with the whole domain',
        'when subdomain offset is set when subdomain offset is zero should return an array with the whole IPv4',
        'when subdomain offset is set when subdomain offset is zero should return an array with the whole IPv6',
        'when subdomain offset is set when present should return an array',
        'when subdomain offset is set otherwise should return an empty array',
      ]),
      ...below('vhost', [
        'example.com GET / should say hello',
        'example.com GET /foo should say foo',
        'foo.example.com GET / should redirect to /foo',
        'bar.example.com GET / should redirect to /bar',
      ]),
    ],
  },
  {
    suite: 'Express',
    reason: 'These two send a Host that is none (`http://example.com`), which is refused (RFC 9112 §3.2).',
    checks: ['res when accepting html should escape the url', 'res when accepting text should encode the url'],
  },
  {
    suite: 'Express',
    reason:
      'X-Forwarded-For, -Proto and -Host are ours to say: those of a visitor are replaced, or anybody could pass for anybody.',
    checks: [
      ...below('req .ip when X-Forwarded-For is present when "trust proxy" is enabled', [
        'should return the client addr',
        'should return the addr after trusted proxy based on count',
        'should return the addr after trusted proxy based on list',
        'should return the addr after trusted proxy, from sub app',
      ]),
      ...below('req .ips when X-Forwarded-For is present when "trust proxy" is enabled', [
        'should return an array of the specified addresses',
        'should stop at first untrusted',
      ]),
      ...below('req .protocol when "trust proxy" is enabled', [
        'should respect X-Forwarded-Proto',
        'should default to the socket addr if X-Forwarded-Proto not present',
        'when trusting hop count should respect X-Forwarded-Proto',
      ]),
      ...below('req .secure when X-Forwarded-Proto is present', [
        'should return true when "trust proxy" is enabled',
        'should return true when initial proxy is https',
        'when "trust proxy" trusting hop count should respect X-Forwarded-Proto',
      ]),
      'req .subdomains with trusted X-Forwarded-Host should return an array',
    ],
  },
  {
    suite: 'Express',
    reason: 'Two responses are compared field by field, and every response has a Postern-Request-Id of its own.',
    checks: ['HEAD should output the same headers as GET requests'],
  },
  {
    suite: 'Local servers',
    reason: 'Interim responses are never sent to a visitor of HTTP/1.0 (RFC 9110 §15.2).',
    checks: ['any number of interim answers: a hundred to a visitor of HTTP/1.0'],
  },
  {
    suite: 'Local servers',
    reason: 'A visitor of HTTP/1.0 gets no chunks (RFC 9112 §7.1), and so no trailers.',
    checks: ['trailers with odd lines: to a visitor of HTTP/1.0'],
  },
  {
    suite: 'Local servers',
    reason:
      'curl 7.88 does not know a length or a coding by white space before its colon, and refuses a length that is folded or none. Each can be understood in one way only.',
    checks: [
      'white space before the colon: of the coding, tabs among it',
      'chunked beside a length: that is no number',
      'folded fields: the length',
    ],
  },
  {
    suite: 'Local servers',
    reason: 'A visitor gets a status line of our own: in HTTP/1.1 (RFC 9110 §2.5), with one space between its parts.',
    checks: [
      'white space and lists where one word is meant: several spaces before the status',
      'framing that the version or the status rules out: chunked in HTTP/1.0',
    ],
  },
]

/** The checks of one suite that may differ. */
export const listedDifferences = (suite: string): ReadonlySet<string> =>
  new Set(DIFFERENCES.filter((difference) => difference.suite === suite).flatMap(({ checks }) => checks))
