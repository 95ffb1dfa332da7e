/** The OpenAPI document of the control API, made from the table of operations. Knows nothing of how a call is carried out. */
import { ANSWER_COMPONENTS, OPERATIONS, type Operation, PROBLEM_TYPE, REQUEST_COMPONENTS } from '@postern/protocol/api'
import * as z from 'zod/mini'
import type { HandlerOf } from './call.ts'
import { answerHeaders, codesByStatus, describeCodes, everyCode, HEADERS } from './openapi-refusals.ts'

type Json = Record<string, unknown>

const PARAMETERS: Readonly<Record<string, string>> = {
  id: 'The id of a token, as lists show it.',
  name: 'A subdomain: one label below the base domain.',
  subdomain: 'A subdomain: one label below the base domain.',
  username: 'The name of an account. In a list: only what is theirs; another than one’s own only for an administrator.',
  cursor: 'The `next` of the page before, unchanged.',
  limit: 'The most items of a page.',
  day: 'A day, UTC; today unless given.',
}
const WHO: Readonly<Record<Operation['who'], string>> = {
  anyone: 'For anyone, without a token.',
  token: 'For any token that is good.',
  tunnel: 'For tokens with the scope `tunnel`.',
  admin: 'For tokens with the scope `admin`.',
  owner: 'For any token that is good, about what is its user’s; with the scope `admin`, about what is anybody’s.',
}

let made: Json & { openapi: string }

/** Made at the first call: most processes are never asked for it. */
export const getOpenApi: HandlerOf<'getOpenApi'> = async () => {
  made ??= openApiDocument()
  return made
}

/** OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1). */
function openApiDocument(): Json & { openapi: string } {
  const paths: Record<string, Json> = {}
  for (const [id, operation] of Object.entries<Operation>(OPERATIONS)) {
    paths[operation.path] = { ...paths[operation.path], [operation.method.toLowerCase()]: describe(id, operation) }
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Postern control API',
      version: '1.0.0',
      summary: 'Tickets, tokens, accounts, subdomains and tunnels of one deployment.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    // Wherever the document was read.
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'pst_u… or pst_a…',
          description: 'A token of this server.',
        },
      },
      headers: HEADERS,
      schemas: schemas(),
    },
  }
}

function describe(operationId: string, operation: Operation): Json {
  const { who, path, query, body, status, answer, summary } = operation
  const inPath = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name = '']) => ({
    ...{ name, in: 'path', required: true, description: PARAMETERS[name] },
    schema: { type: 'string' },
  }))
  const parameters = [...inPath, ...(query === undefined ? [] : queryParameters(query))]
  const refusals = Object.entries(codesByStatus(operation)).map(([refused, codes]) => [
    refused,
    {
      description: describeCodes(codes),
      headers: answerHeaders(Number(refused)),
      content: {
        [PROBLEM_TYPE]: { schema: { allOf: [ref('Problem'), { properties: { code: { enum: codes } } }] } },
      },
    },
  ])
  return {
    operationId,
    summary,
    description: WHO[who],
    tags: [path.split('/')[2] ?? 'service'],
    ...(who === 'anyone' && { security: [] }),
    ...((who === 'tunnel' || who === 'admin') && { security: [{ token: [who] }] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: {
        required: !z.safeParse(body, {}).success,
        content: { 'application/json': { schema: named(REQUEST_COMPONENTS, body, 'input') } },
      },
    }),
    responses: {
      [status]: {
        description: 'Done.',
        headers: answerHeaders(status),
        ...(answer !== undefined && {
          content: { 'application/json': { schema: named(ANSWER_COMPONENTS, answer, 'output') } },
        }),
      },
      ...Object.fromEntries(refusals),
    },
  }
}

function queryParameters(query: z.ZodMiniType): Json[] {
  // What is read from the text: `limit` as the number it stands for.
  const { properties = {}, required = [] } = z.toJSONSchema(query, options('output'))
  return Object.entries(properties).map(([name, schema]) => ({
    ...{ name, in: 'query', required: required.includes(name), description: PARAMETERS[name], schema },
  }))
}

const ref = (name: string): Json => ({ $ref: schemaAddress(name) })
const schemaAddress = (name: string): string => `#/components/schemas/${name}`

function named(components: Readonly<Record<string, z.ZodMiniType>>, schema: z.ZodMiniType, io: 'input' | 'output') {
  const name = Object.keys(components).find((key) => components[key] === schema)
  return name === undefined ? bare(z.toJSONSchema(schema, options(io))) : ref(name)
}

function schemas(): Json {
  const all: Json = {}
  for (const [components, io] of [
    [REQUEST_COMPONENTS, 'input'],
    [ANSWER_COMPONENTS, 'output'],
  ] as const) {
    const registry = z.registry<{ id: string }>()
    for (const [id, schema] of Object.entries(components)) registry.add(schema, { id })
    const made = z.toJSONSchema(registry, { ...options(io), uri: schemaAddress })
    for (const [name, schema] of Object.entries(made.schemas)) all[name] = bare(schema)
  }
  const problem = all.Problem as { properties: Json }
  return { ...all, Problem: { ...problem, properties: { ...problem.properties, code: { enum: everyCode() } } } }
}

const options = (io: 'input' | 'output') =>
  ({
    io,
    override: ({ jsonSchema }) => {
      // A later version may say more: whoever reads an answer passes over what they do not know.
      if (io === 'output') delete jsonSchema.additionalProperties
      // A date is one by its format; the pattern that also knows leap years is for machines that do not.
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern
    },
  }) satisfies Parameters<typeof z.toJSONSchema>[1]

/** Without what only a schema that stands alone needs. */
function bare({ $schema, $id, ...schema }: Json): Json {
  return schema
}
