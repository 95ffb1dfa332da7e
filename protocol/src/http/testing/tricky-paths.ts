/** Ways to spell another path behind `/webhooks/`. */
export const TRICKS: readonly string[] = [
  ...['../admin', './x', 'x/../../admin', '..', '.', '...', '../', 'a/./b'],
  ...['%2e%2e/admin', '%2E%2E/admin', '.%2e/admin', '%2e./admin', 'x/%2e%2e/%2e%2e/admin', '%2e', 'a/%2e/b'],
  ...['%252e%252e/admin', '%25%32%65%25%32%65/admin', '%u002e%u002e/admin', '%%32%65%%32%65/admin'],
  ...['..%2fadmin', '..%2Fadmin', 'x%2f..%2f..%2fadmin', '%2fadmin', 'a%2fb', '..%252fadmin'],
  ...['..\\admin', '..%5cadmin', '..%5Cadmin', 'a\\b', 'a%5cb', '..%255cadmin'],
  ...['/admin', 'x//../../admin', 'a//b', '//admin', '/'],
  ...['..;/admin', '..;a=b/admin', ';/../admin', 'a;b', '.;/x', '%2e%2e;/admin', '..%3b/admin', '%3b/../admin'],
  ...['%c0%ae%c0%ae/admin', '..%c0%afadmin', '%e0%80%ae%e0%80%ae/admin', '%c1%9c', '%ff', '%c3'],
  ...[
    '%ef%bc%8e%ef%bc%8e/admin',
    '..%ef%bc%8fadmin',
    '..%ef%bc%bcadmin',
    '%e2%80%a5/admin',
    '%e2%88%95',
    '%e2%81%84',
    '%e3%80%82',
  ],
  ...['..%00/admin', '%00', 'a%00.html', '..%0a/admin', '..%0d%0a', '..%09/admin', '%7f', '%1b'],
  ...['..%20/admin', '.. /admin', '..+/admin', '.%20', '. .', '%20', '..%c2%a0/admin'],
  ...['%', '%2', '%zz', '%2e%', 'a%2', '%-1', '%+2e'],
  ...['a%3f/../x', 'a%23/../x', 'a#b', 'a%3Fb', 'a|b', 'a"b', 'a<b', 'a^b', 'a`b', 'a{b', 'a[b', 'a%7cb'],
]
