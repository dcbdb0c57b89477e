import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startHttp } from './http-scene.ts'
import { ask } from './web-request.ts'

interface Operation {
  operationId: string
  parameters: { name: string; in: string; required?: boolean; schema: unknown }[]
  requestBody?: { content: Record<string, { schema: { $ref: string } }> }
  responses: Record<string, { description: string; content?: Record<string, { schema: { $ref: string } }> }>
}

interface Description {
  openapi: string
  info: { title: string; version: string }
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, unknown> }
}

test('the OpenAPI description names what there is, and all that it names answers', async (t) => {
  const { port, scene } = await startHttp(t)
  const reply = await ask(port, '/v1/openapi.json')
  const { openapi, info, paths, components } = reply.json as Description
  assert.equal(openapi, '3.1.0')
  assert.ok(info.title !== '' && info.version !== '')
  const ids = new Set<string>()
  let operations = 0
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      operations++
      ids.add(operation.operationId)
      const variables = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const declared = operation.parameters.filter((one) => one.in === 'path')
      assert.deepEqual(
        declared.map(({ name, required }) => [name, required]),
        variables.map((name) => [name, true]),
      )
      assert.ok(operation.parameters.every(({ schema }) => schema !== undefined))
      const bodies = [operation.requestBody, ...Object.values(operation.responses)]
      for (const content of bodies.flatMap((body) => Object.values(body?.content ?? {}))) {
        const name = content.schema.$ref.replace('#/components/schemas/', '')
        assert.ok(name in components.schemas, name)
      }
      for (const { description } of Object.values(operation.responses)) assert.ok(description !== '')
      if (path === '/v1/events' || path.startsWith('/api/subscribe/')) continue
      const query = operation.parameters.some((one) => one.in === 'query' && one.required) ? '?address=/x' : ''
      const body = operation.requestBody && '{"address": "/x", "value": 1, "operations": []}'
      await scene.set('/x', { type: 'f64', value: 1 })
      const wanted = { method: method.toUpperCase(), body }
      const { status } = await ask(port, `${path.replace(/\{\w+\}/, 'x')}${query}`, wanted)
      const known = operation.responses[String(status)]
      assert.ok(known !== undefined && status < 300, `${method} ${path}: ${status}`)
    }
  }
  assert.equal(ids.size, operations, 'every operation has an id of its own')
  assert.ok(operations >= 30)
  for (const path of [
    '/v1/health',
    '/v1/state/{address}',
    '/v1/emit/{address}',
    '/v1/bundle',
    '/v1/snapshot',
    '/v1/query',
    '/v1/signals',
    '/v1/events',
    '/v1/openapi.json',
  ])
    assert.ok(path in paths, path)
})

test('the page for people has links, examples and no script, whatever host was asked for', async (t) => {
  const { port } = await startHttp(t, ', tokens: [{token: a, read: ["/**"]}]')
  const { text, headers } = await ask(port, '/v1/', { headers: { host: '"><script>x</script>', 'x-api-key': 'a' } })
  assert.equal(headers['content-type'], 'text/html; charset=utf-8')
  assert.match(text, /href="\/v1\/openapi.json"/)
  assert.doesNotMatch(text, /<script/)
})
