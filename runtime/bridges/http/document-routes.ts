import type { HttpService } from './http-service.ts'
import { indexPage } from './index-page.ts'
import { openApi } from './openapi.ts'
import { json, type Route } from './route.ts'

/** The description of all routes, for programs and for people. */
export function documentRoutes(service: HttpService, others: readonly Route[]): Route[] {
  const page = (path: string): Route => ({
    method: 'GET',
    path,
    summary: 'A page with links and examples',
    answers: { 200: 'Page' },
    types: ['text/html'],
    handle: async (call) => {
      const { name } = (await service.client()).router
      return {
        status: 200,
        text: indexPage(routes, name, call.origin),
        type: 'text/html; charset=utf-8',
        headers: { 'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'" },
      }
    },
  })
  const routes: Route[] = [
    ...others,
    {
      method: 'GET',
      path: '/v1/openapi.json',
      summary: 'This description (OpenAPI 3.1)',
      answers: { 200: 'Document' },
      handle: async () => json(200, openApi(routes, await service.version())),
    },
    page('/v1'),
    page('/v1/'),
  ]
  return routes
}
