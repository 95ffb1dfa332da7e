import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const rooms = ['protocol', 'control-plane', 'data-plane', 'agent', 'admin', 'canary', 'cdk', 'local']
const base = {
  environment: 'node',
  pool: 'forks',
  reporters: ['default'],
  // What is waited for is an event; a deadline is there for what never comes, on a slow machine with other work too.
  testTimeout: 120_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: 30_000 } },
  // The SDK's notice that it will drop Node 20 one day, eight lines for each process.
  env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
  // A worker loads what it imports once, not once for each file: loading was half of what the units cost.
  isolate: false,
  setupFiles: ['test/support/shared-process.ts'],
} as const

/** Files that set POSTERN_TIME_SCALE or another limit for themselves. Time limits are read once in a process, so each of these has one of its own. */
const SCALED = '**/*.scaled.test.ts'
/** What waits for limits of time, and what starts many processes: ten seconds each and more. They are a part of the gate, and not of `npm test`. */
const PATIENT = [
  'admin',
  'agent-notices',
  'hold',
  'key-rotation',
  'lifecycle',
  'local-streams',
  'npx',
  'resources',
  'revocation',
  'task-image',
].map((name) => `test/system/${name}.test.ts`)
/** For whatever starts processes of the built bundles, and is looked at when it stops. */
const SYSTEMS = [
  'test/support/build-once.ts',
  'test/support/canary-tally.ts',
  'test/support/resources/resource-tally.ts',
]
const NOT_OURS = ['**/node_modules/**', '**/dist/**']

/**
 * unit: beside the code. The others cross rooms, scaled has files of both kinds; hostile and system build the bundles first and run them as
 * processes. patient is those of system that take long, hop is what visitors see, once more, with two tasks of which they come in at the wrong one, load is faults that take a quiet
 * machine, cluster is several tasks, most of them behind a balancer, suites runs other people's software through the tunnel, and stack deploys on an
 * AWS emulator: none of these seven is a part of `npm test`. With `--mode gate` a test that has a size of its own for the gate takes that one.
 */
export default defineConfig(({ mode }) => {
  // `--mode gate`, for every process of the run.
  if (mode === 'gate') process.env.POSTERN_GATE = '1'
  return {
    test: {
      // Left to itself, vitest leaves one core idle; these tests wait more than they compute, so one more than there are cores.
      maxWorkers: availableParallelism() + 1,
      // What one project has transformed the others need not. The cache lies in node_modules.
      experimental: { fsModuleCache: true },
      projects: [
        {
          test: {
            ...base,
            name: 'unit',
            include: [...rooms.map((room) => `${room}/**/*.test.ts`), 'test/accept/*.test.ts'],
            exclude: [...NOT_OURS, SCALED],
          },
        },
        {
          test: {
            ...base,
            name: 'contract',
            include: ['test/contract/**/*.test.ts'],
            exclude: [SCALED],
          },
        },
        {
          test: {
            ...base,
            name: 'scaled',
            isolate: true,
            setupFiles: [],
            include: [SCALED],
            exclude: NOT_OURS,
          },
        },
        { test: { ...base, name: 'interop', include: ['test/interop/**/*.test.ts'] } },
        {
          test: {
            ...base,
            name: 'hostile',
            include: ['test/hostile/**/*.test.ts'],
            exclude: ['**/*.load.test.ts', SCALED],
            globalSetup: SYSTEMS,
          },
        },
        {
          test: {
            ...base,
            name: 'system',
            include: ['test/system/**/*.test.ts'],
            exclude: PATIENT,
            globalSetup: SYSTEMS,
          },
        },
        {
          test: {
            ...base,
            name: 'patient',
            include: PATIENT,
            globalSetup: SYSTEMS,
          },
        },
        {
          test: {
            ...base,
            name: 'hop',
            include: [
              ...['fidelity*', 'visitor-rules', 'request-ids', 'raw-targets', 'visitor-sign-in'].map(
                (name) => `test/system/${name}.test.ts`,
              ),
            ],
            env: { ...base.env, POSTERN_TEST_HOP: '1' },
            globalSetup: SYSTEMS,
          },
        },
        {
          test: {
            ...base,
            name: 'load',
            include: ['test/hostile/**/*.load.test.ts'],
            // What they measure is shared by whatever runs beside them.
            fileParallelism: false,
            globalSetup: SYSTEMS,
          },
        },
        {
          test: {
            ...base,
            name: 'cluster',
            include: ['test/cluster/**/*.test.ts'],
            // One of them sets POSTERN_TIME_SCALE, and loading is the least of what they cost.
            isolate: true,
            setupFiles: [],
            // Each is a balancer, several tasks and their visitors: two of them at once would be too busy for their deadlines.
            fileParallelism: false,
            globalSetup: SYSTEMS,
          },
        },
        {
          test: {
            ...base,
            name: 'suites',
            include: ['test/suites/*.test.ts'],
            // Other people's tests have deadlines that were set for a machine of their own.
            fileParallelism: false,
            globalSetup: SYSTEMS,
            testTimeout: 600_000,
          },
        },
        {
          test: {
            ...base,
            name: 'stack',
            include: ['test/stack/**/*.test.ts'],
            // The store's races would be in the latencies that are measured beside them.
            fileParallelism: false,
            globalSetup: ['test/stack/setup.ts'],
            hookTimeout: 180_000,
          },
        },
      ],
    },
  }
})
