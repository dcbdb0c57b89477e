import { type Scopes, scopeRefusal } from '../scopes.ts'
import type { JsonRequest } from './json-request.ts'

/** What the scopes do not allow of a request; undefined: nothing. Of a snapshot the rest is left out. */
export function scopeProblem(request: JsonRequest, scopes: Scopes, namespace: string): string | undefined {
  switch (request.type) {
    case 'plain':
    case 'set':
    case 'emit': {
      const address = request.address ?? `${namespace}/message`
      return scopes.canWrite(address) ? undefined : scopeRefusal('write', address)
    }
    case 'get':
      return scopes.canRead(request.address) ? undefined : scopeRefusal('read', request.address)
    case 'subscribe':
      return scopes.canReadAll(request.pattern) ? undefined : scopeRefusal('read', request.pattern)
    case 'batch':
      return request.operations.map((one) => scopeProblem(one, scopes, namespace)).find((one) => one !== undefined)
    default:
      return undefined
  }
}
