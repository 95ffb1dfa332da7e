import { expect, test } from 'vitest'
import { parseConfig } from './config.ts'

test('without any context there is a small deployment on fixed addresses', () => {
  expect(parseConfig({})).toEqual({
    domain: undefined,
    channelPort: 7000,
    taskCpu: 256,
    taskMemory: 512,
    taskCount: 2,
    mostTasks: 10,
    architecture: 'arm64',
    ipPolicy: 'observed',
    accessLog: 'off',
    dualStack: false,
    functionConcurrency: 250,
    nestedNames: [],
  })
})

test('numbers and flags may be text, as the command line gives them', () => {
  const context = { channelPort: '7443', taskCpu: '1024', taskMemory: '2048', domain: 'a.example', zoneId: 'Z1' }
  expect(parseConfig({ ...context, dualStack: 'true' })).toMatchObject({
    channelPort: 7443,
    taskCpu: 1024,
    taskMemory: 2048,
    dualStack: true,
    domain: { name: 'a.example', zoneId: 'Z1' },
  })
})

test('nested names are a list, or text with commas', () => {
  const domain = { domain: 'a.example', zoneId: 'Z1' }
  for (const nestedNames of ['demo, shop', ['demo', 'shop']])
    expect(parseConfig({ ...domain, nestedNames }).nestedNames).toEqual(['demo', 'shop'])
})

test("the CDK's own keys are none of ours", () => {
  expect(() =>
    parseConfig({ 'aws:cdk:bundling-stacks': [], '@aws-cdk/core:x': true, 'cli-telemetry': false }),
  ).not.toThrow()
})

test.each<[string, Record<string, unknown>, RegExp]>([
  ['a misspelled key', { domian: 'example.com' }, /domian/],
  ['a domain without its zone', { domain: 'example.com' }, /zoneId: domain and zoneId go together/],
  ['a zone without its domain', { zoneId: 'Z123' }, /domain: domain and zoneId go together/],
  ['a domain in capitals', { domain: 'Example.com', zoneId: 'Z1' }, /domain: .*lower case/],
  ['a URL instead of a domain', { domain: 'https://example.com', zoneId: 'Z1' }, /domain: /],
  ['a bare top-level domain', { domain: 'example', zoneId: 'Z1' }, /domain: /],
  ['a wildcard', { domain: '*.example.com', zoneId: 'Z1' }, /domain: /],
  ["a zone's path instead of its id", { domain: 'example.com', zoneId: '/hostedzone/Z1' }, /zoneId: .*hosted zone/],
  [
    'an image without tag or digest',
    { dataPlaneImage: 'public.ecr.aws/x/postern' },
    /dataPlaneImage: .*tag or a digest/,
  ],
  ['a channel on a port of the visitors', { channelPort: '443' }, /channelPort: is a port of the visitors/],
  ['a port that is none', { channelPort: '70000' }, /channelPort: .*65535/],
  ['a port in words', { channelPort: 'seven' }, /channelPort: expected a whole number/],
  ['a task of two processors, which one thread cannot use', { taskCpu: 2048 }, /taskCpu: /],
  [
    'a task size that Fargate does not sell',
    { taskCpu: 256, taskMemory: 4096 },
    /taskMemory: with taskCpu 256 expected one of 512/,
  ],
  ['more tasks than the most', { taskCount: 5, mostTasks: 3 }, /mostTasks: is less than taskCount 5/],
  [
    'a nested name that is none',
    { nestedNames: 'demo,*', domain: 'a.example', zoneId: 'Z1' },
    /nestedNames: .*demo,shop/,
  ],
  ['nested names without a domain', { nestedNames: 'demo' }, /nestedNames: needs a domain/],
  [
    'more nested names than a certificate holds',
    { nestedNames: 'aa1,aa2,aa3,aa4,aa5,aa6,aa7,aa8,aa9' },
    /nestedNames: .*8/,
  ],
  ['more tasks than one balancer holds', { mostTasks: 151 }, /mostTasks: .*150/],
  ['an unknown policy', { ipPolicy: 'none' }, /ipPolicy: /],
  ['a mail address that is none', { alarmEmail: 'me' }, /alarmEmail: expected a mail address/],
  [
    "a token instead of the name of its secret's",
    { canaryToken: 'a token, by mistake' },
    /canaryToken: expected the name of a secret/,
  ],
  ['both families on a name that holds one', { dualStack: true }, /dualStack: needs a domain/],
  ['a flag that is none', { dualStack: 'yes' }, /dualStack: expected true or false/],
])('%s is refused, by name', (_case, context, message) => {
  expect(() => parseConfig(context)).toThrowError(message)
})

test('everything that is wrong is said at once', () => {
  expect(() => parseConfig({ channelPort: 80, ipPolicy: 'x' })).toThrowError(/channelPort[\s\S]*ipPolicy/)
})
