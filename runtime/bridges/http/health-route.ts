import { HttpError } from './http-error.ts'
import type { HttpService } from './http-service.ts'
import { json, type Route } from './route.ts'
import { jsonObject } from './value-form.ts'

const BRIDGES = '/_meta/bridges/'

/** The state of the node and its bridges; 503 when one does not run that has to. */
export function healthRoute(service: HttpService, requiredBridges: readonly string[]): Route {
  return {
    method: 'GET',
    path: '/v1/health',
    summary: 'How the node and its bridges are; 503 when a required bridge does not run',
    answers: { 200: 'Health', 503: 'Health' },
    handle: async ({ scopes }) => {
      if (!scopes.mayAnything) throw new HttpError('forbidden', 'what was shown allows nothing')
      const client = await service.client()
      const states = new Map<string, string>()
      for (const { address, value } of await client.snapshot(`${BRIDGES}*`)) {
        const state = value.type === 'map' ? new Map(value.value).get('state') : undefined
        if (state?.type === 'string') states.set(address.slice(BRIDGES.length), state.value)
      }
      const uptime = await client.get('/_clasp/uptime')
      const missing = requiredBridges.filter((id) => states.get(id) !== 'running')
      const isWhole = [...states.values()].every((state) => state === 'running' || state === 'stopped')
      const text = jsonObject({
        status: missing.length > 0 ? '"unavailable"' : isWhole ? '"ok"' : '"degraded"',
        node: JSON.stringify(client.router.name),
        version: JSON.stringify(await service.version()),
        uptime_s: uptime?.value.type === 'i64' ? String(uptime.value.value) : undefined,
        bridges: JSON.stringify(Object.fromEntries(states)),
      })
      return json(missing.length > 0 ? 503 : 200, text)
    },
  }
}
