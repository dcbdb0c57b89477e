import type { EventFeeds } from './event-feeds.ts'
import { readEventQuery } from './event-query.ts'
import { HttpError } from './http-error.ts'
import type { HttpService } from './http-service.ts'
import type { Call, Route } from './route.ts'

/** Routes of Server-Sent Events. Source: bridges.md §11.3. */
export function eventRoutes(service: HttpService, feeds: EventFeeds): Route[] {
  const handle = async (call: Call) => {
    const query = readEventQuery(service, call)
    const wanted = call.query.get('snapshot')
    if (wanted !== null && wanted !== '1' && wanted !== '0')
      throw new HttpError('bad_request', `snapshot=${wanted}: expected 1 or 0`)
    const lastEventId = call.headers['last-event-id']
    await feeds.open(query, () => call.stream(), {
      lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
      // Clients of the alias know no other way to the values that there are.
      wantsSnapshot: wanted === null ? query.isPlain : wanted === '1',
    })
    return undefined
  }
  return [
    {
      method: 'GET',
      path: '/v1/events',
      summary: 'Changes and events as they come',
      parameters: ['patterns', 'types', 'snapshot', 'maxRate', 'time', 'bytes', 'token', 'lastEventId'],
      answers: { 200: 'EventStream' },
      types: ['text/event-stream'],
      handle,
    },
    {
      method: 'GET',
      path: '/api/subscribe/{pattern}',
      summary: 'Values as they come, in unnamed events {address, value}',
      parameters: ['types', 'snapshot', 'maxRate', 'bytes', 'token', 'lastEventId'],
      answers: { 200: 'EventStream' },
      types: ['text/event-stream'],
      handle,
    },
  ]
}
