import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { LocalSession, LocalSessionOptions } from '../router/local-session.ts'
import type { SessionObserver } from '../router/session-observer.ts'

/** What devices need of the router. */
export interface DeviceRouter {
  openLocal(options: LocalSessionOptions): LocalSession
  /** A param as it is now, with the id of the session that wrote it. */
  paramAt(address: string): { value: Value; writer: string } | undefined
  /** Who is connected, by id. */
  readonly sessions: ReadonlyMap<string, { readonly name: string }>
  readonly sessionObservers: Set<SessionObserver>
}
