import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { OBSERVATION_LIFE_MS } from '../limits.ts'
import { newDeploymentSecret, parseDeploymentKeys } from './deployment-keys.ts'
import { signObservation, verifyObservation } from './observation.ts'

const keys = parseDeploymentKeys(newDeploymentSecret(randomBytes))
const time = 1_800_000_000_000
const observation = { seenIp: '2001:db8::7', idHash: 'ab'.repeat(32), time }
const refused = expect.objectContaining({ code: 'observation-refused' })

test('what one plane signed the other reads', () => {
  expect(verifyObservation(signObservation(observation, keys), keys, time)).toEqual(observation)
})

test.each([
  [OBSERVATION_LIFE_MS - 1, true],
  [OBSERVATION_LIFE_MS, true],
  [OBSERVATION_LIFE_MS + 1, false],
  [-OBSERVATION_LIFE_MS - 1, false],
])('%i ms later it is good: %s', (later, good) => {
  const verify = () => verifyObservation(signObservation(observation, keys), keys, time + later)
  if (good) expect(verify()).toEqual(observation)
  else expect(verify).toThrowError(refused)
})

test('with any letter changed it is refused', () => {
  const signed = signObservation(observation, keys)
  for (let i = 0; i < signed.length; i += 1) {
    const changed = signed.slice(0, i) + (signed[i] === 'A' ? 'B' : 'A') + signed.slice(i + 1)
    // The last letter of base64url carries unused bits: a change there may be none.
    if (i === signed.length - 1) continue
    expect(() => verifyObservation(changed, keys, time)).toThrowError(refused)
  }
})

test('one signed by another deployment, or cut, or grown, is refused', () => {
  const foreign = parseDeploymentKeys(newDeploymentSecret(randomBytes))
  const signed = signObservation(observation, keys)
  for (const text of [
    signObservation(observation, foreign),
    '',
    '..',
    signed.slice(0, 20),
    `${signed}.x`,
    `${signed}A`,
  ]) {
    expect(() => verifyObservation(text, keys, time)).toThrowError(refused)
  }
})

test('it fits into the answer line with room to spare', () => {
  const longest = { ...observation, seenIp: '2001:0db8:1111:2222:3333:4444:5555:6666' }
  expect(signObservation(longest, keys).length).toBeLessThan(512)
})
