import type { Router } from '../router/router.ts'

/** What the journal asks of the router. */
export type JournaledRouter = Pick<
  Router,
  | 'now'
  | 'wallUs'
  | 'table'
  | 'store'
  | 'lookup'
  | 'restore'
  | 'endRestore'
  | 'restoreRevision'
  | 'setRevisionFloor'
  | 'releaseAnswers'
  | 'refuseAnswers'
>
