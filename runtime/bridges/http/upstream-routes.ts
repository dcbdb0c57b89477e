import type { HttpService } from './http-service.ts'
import { type Call, json, type Route } from './route.ts'
import { checkedAddress, readPayload, readWrite } from './state-routes.ts'
import { jsonObject, ValueForm } from './value-form.ts'

/** Routes as the reference implementation has them, with its errors. Source: bridges.md §11.1 and §11.2. */
export function upstreamRoutes(service: HttpService, { namespace }: { namespace: string }): Route[] {
  const written = (call: Call) => checkedAddress(`${namespace}${call.rest}`)
  const verbs = (path: string): Route[] => [
    {
      method: 'GET',
      path,
      summary: 'The value at an address',
      parameters: ['bytes'],
      answers: { 200: 'Valued' },
      hasPlainErrors: true,
      handle: async (call) => {
        const address = checkedAddress(call.rest)
        const { value, revision } = await service.get(address, call.scopes)
        const text = jsonObject({ address: JSON.stringify(address), value: new ValueForm(call.query).value(value) })
        return json(200, text, { ETag: `"${revision}"` })
      },
    },
    {
      method: 'PUT',
      path,
      summary: 'Set a param',
      parameters: ['bytes'],
      body: 'Write',
      answers: { 200: 'Done' },
      hasPlainErrors: true,
      handle: async (call) => {
        const address = written(call)
        const { value } = readWrite(await call.body())
        await service.set(address, value, call.scopes)
        return done(address, 'set', new ValueForm(call.query).value(value))
      },
    },
    {
      method: 'POST',
      path,
      summary: 'Emit an event',
      parameters: ['bytes'],
      body: 'Emit',
      answers: { 200: 'Done' },
      hasPlainErrors: true,
      handle: async (call) => {
        const address = written(call)
        const value = readPayload(await call.body())
        await service.emit(address, value, call.scopes)
        return done(address, 'published', new ValueForm(call.query).value(value))
      },
    },
    {
      method: 'DELETE',
      path,
      summary: 'Remove a param: subscribers see null',
      answers: { 200: 'Done' },
      hasPlainErrors: true,
      handle: async (call) => {
        const address = written(call)
        await service.remove(address, call.scopes)
        return done(address, 'deleted')
      },
    },
  ]
  return [
    {
      method: 'GET',
      path: '/api/health',
      summary: 'Whether it answers',
      answers: { 200: 'UpstreamHealth' },
      hasPlainErrors: true,
      handle: async () => {
        const version = await service.version()
        return json(200, jsonObject({ status: '"ok"', protocol: '"CLASP"', version: JSON.stringify(version) }))
      },
    },
    {
      method: 'GET',
      path: '/api/signals',
      summary: 'All values',
      parameters: ['pattern', 'bytes'],
      answers: { 200: 'SignalList' },
      hasPlainErrors: true,
      handle: async (call) => {
        const form = new ValueForm(call.query)
        const params = await service.params(call.query.get('pattern') ?? undefined, call.scopes)
        const items = params.map(({ address, value }) =>
          jsonObject({ address: JSON.stringify(address), value: form.value(value) }),
        )
        return json(200, `{"signals":[${items.join(',')}],"count":${items.length}}`)
      },
    },
    ...verbs('/api/signals/{address}'),
    ...verbs('/api/{address}'),
  ]
}

function done(address: string, status: string, value?: string) {
  return json(200, jsonObject({ address: JSON.stringify(address), value, status: JSON.stringify(status) }))
}
