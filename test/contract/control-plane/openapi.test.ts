import { OPERATIONS, type Operation, problemSchema } from '@postern/protocol/api'
import { FAULTS, isFaultCode } from '@postern/protocol/fault'
import { Validator } from '@seriousme/openapi-schema-validator'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Deployment, deploy, grant } from './deployment.ts'

interface Answer {
  description: string
  content?: Record<
    string,
    { schema: { $ref?: string; allOf?: [unknown, { properties: { code: { enum: string[] } } }] } }
  >
}
interface Described {
  operationId: string
  summary: string
  security?: object[]
  parameters?: { name: string; in: string; description?: string }[]
  requestBody?: { required: boolean }
  responses: Record<string, Answer>
}
type Document = {
  openapi: string
  paths: Record<string, Record<string, Described>>
  components: { schemas: Record<string, { properties: Record<string, { enum?: string[] }> }> }
}

let deployment: Deployment
let document: Document
beforeAll(async () => {
  deployment = await deploy()
  document = (await (await deployment.app.request('/openapi.json')).json()) as Document
})
afterAll(() => deployment.stop())

const described = () =>
  Object.entries(document.paths).flatMap(([path, calls]) =>
    Object.entries(calls).map(([method, call]) => ({ path, method: method.toUpperCase(), ...call })),
  )

test('it is OpenAPI 3.1 to a validator that is not ours', async () => {
  const validator = new Validator()
  // It takes what it is given apart.
  const result = await validator.validate(structuredClone(document))
  expect(result).toEqual({ valid: true })
  expect(validator.version).toBe('3.1')
})

test('the validator sees what is wrong', async () => {
  const wrong = structuredClone(document) as { paths: Record<string, unknown> }
  wrong.paths['/v1/me'] = { get: { responses: 1 } }
  expect(await new Validator().validate(wrong)).toMatchObject({ valid: false })
})

test('every reference leads somewhere', () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = '']) => path)
  expect(references.length).toBeGreaterThan(0)
  for (const reference of new Set(references)) {
    const found = reference.split('/').reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], document)
    expect(found, reference).toBeTypeOf('object')
  }
})

test('it has the routes that the app has, and no other', () => {
  const served = deployment.app.routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
  expect(served.length).toBe(Object.keys(OPERATIONS).length)
  expect(
    described()
      .map(({ method, path }) => `${method} ${path}`)
      .sort(),
  ).toEqual(served.sort())
})

test('a path that the app answers with anything but 404 is in it, whatever the method', async () => {
  const paths = deployment.app.routes.map(({ path }) => path).filter((path) => !path.includes('*'))
  for (const path of new Set(paths)) expect(document.paths).toHaveProperty([path.replaceAll(/:(\w+)/g, '{$1}')])
})

test('every parameter, body and answer of an operation is described', () => {
  for (const { operationId, parameters = [], requestBody, responses, summary } of described()) {
    const operation: Operation = OPERATIONS[operationId as keyof typeof OPERATIONS]
    expect(summary).toBe(operation.summary)
    for (const { name, description } of parameters) expect(description, `${operationId} ${name}`).toBeTruthy()
    const inPath = Array.from(operation.path.matchAll(/\{(\w+)\}/g), ([, name]) => name)
    expect(parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)).toEqual(inPath)
    expect(requestBody !== undefined).toBe(operation.body !== undefined)
    const { content } = responses[operation.status] ?? {}
    expect(content !== undefined, operationId).toBe(operation.answer !== undefined)
  }
})

test('what an operation may be refused with stands under its status, out of the closed list of problems', () => {
  const closed = document.components.schemas.Problem?.properties.code?.enum ?? []
  expect(closed.every(isFaultCode)).toBe(true)
  for (const { operationId, responses } of described()) {
    const operation: Operation = OPERATIONS[operationId as keyof typeof OPERATIONS]
    const codes = Object.entries(responses)
      .filter(([status]) => Number(status) >= 400)
      .flatMap(([status, { content }]) => {
        const [, refusal] = content?.['application/problem+json']?.schema.allOf ?? []
        const ofStatus = refusal?.properties.code.enum ?? []
        for (const code of ofStatus) expect(isFaultCode(code) && String(FAULTS[code].status)).toBe(status)
        return ofStatus
      })
    expect(closed).toEqual(expect.arrayContaining(codes))
    expect(codes).toEqual(expect.arrayContaining([...operation.faults, 'internal-error']))
    expect(codes.includes('token-missing')).toBe(operation.who !== 'anyone')
    expect(codes.includes('content-type-unsupported')).toBe(operation.body !== undefined)
  }
})

test('a refusal is among those that its operation is said to have', async () => {
  const bearer = await grant(deployment.stores, 'ann')
  for (const { path, method, operationId, responses } of described()) {
    for (const authorization of [undefined, `Bearer ${bearer}`]) {
      const response = await deployment.app.request(`${path.replaceAll(/\{\w+\}/g, 'x-y-z')}?no=1`, {
        method,
        headers: { ...(authorization && { authorization }) },
      })
      if (response.ok) continue
      const { code } = problemSchema.parse(await response.json())
      const [, refusal] = responses[response.status]?.content?.['application/problem+json']?.schema.allOf ?? []
      expect(refusal?.properties.code.enum, `${operationId} ${code}`).toContain(code)
    }
  }
})

test('a machine that knows nothing of dates is told of no pattern for them, and answers may say more one day', () => {
  const text = JSON.stringify(document.components.schemas)
  expect(text).not.toContain('[2468][048]')
  expect(JSON.parse(text).Token.additionalProperties).toBeUndefined()
  expect(JSON.parse(text).CreateToken.additionalProperties).toBe(false)
})
