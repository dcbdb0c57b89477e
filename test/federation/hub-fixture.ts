import { covers, Pattern } from '../../firmware-protocol/wire/pattern.ts'
import { Hub } from '../../runtime/federation/hub/hub.ts'
import type { Access, AccessRefusal, Authorizer } from '../../runtime/router/access.ts'
import { type Clock, systemClock } from '../../runtime/router/clock.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { Bench, type Peer, type Setup } from '../router/fixture.ts'

/** A router with a hub behind a real port. */
export async function startHub(setup: Setup = {}): Promise<{ bench: Bench; hub: Hub }> {
  const bench = await Bench.start({ ...setup, options: { name: 'CLASP Relay', ...setup.options } })
  const clock: Clock = setup.clock ?? systemClock
  const hub = new Hub(bench.router, { log: setup.log ?? silentLog, clock, name: 'CLASP Relay' })
  bench.router.peers = hub
  return { bench, hub }
}

/** A session with the federation bit that has taken its WELCOME and the first SNAPSHOT. */
export async function joinLeaf(bench: Bench, name = 'clasp-federation', token?: string): Promise<Peer> {
  const peer = await bench.connect()
  peer.send({ type: 'HELLO', version: 1, features: ['param', 'event', 'stream', 'federation'], name, token })
  peer.session = (await peer.next('WELCOME')).session
  await peer.settle()
  return peer
}

export function declare(peer: Peer, patterns: string[], origin?: string): void {
  peer.send({ type: 'FEDERATION_SYNC', op: 'declare_namespaces', patterns, revisions: [], origin })
}

export function requestSync(peer: Peer, patterns: string[], sinceRevision?: number): void {
  peer.send({ type: 'FEDERATION_SYNC', op: 'request_sync', patterns, revisions: [], sinceRevision, origin: 'leaf' })
}

export function revisionVector(peer: Peer, revisions: [string, number][]): void {
  peer.send({ type: 'FEDERATION_SYNC', op: 'revision_vector', patterns: [], revisions })
}

/** A leaf that has declared these namespaces. */
export async function joinDeclared(bench: Bench, origin: string, patterns: string[], token?: string): Promise<Peer> {
  const peer = await joinLeaf(bench, origin, token)
  declare(peer, patterns, origin)
  await peer.next('ACK')
  return peer
}

/** Grants what the token says: `subject r:/a/** w:/b/* a:/c/**`, where a is admin: both. */
export class ScopeAuthorizer implements Authorizer {
  authorize(token: string | undefined): Access | AccessRefusal {
    if (token === undefined || token === '') return { code: 300, message: 'Authentication required' }
    const [subject, ...grants] = token.split(' ')
    const granted = (kinds: string) =>
      grants.filter(([kind]) => kinds.includes(kind)).map((grant) => grant.slice(grant.indexOf(':') + 1))
    const matcher = (kinds: string) => {
      const parsed = granted(kinds).map((text) => Pattern.parse(text) as Pattern)
      return (address: string) => parsed.some((pattern) => pattern.matches(address))
    }
    return {
      subject,
      expiresAtUs: Number.POSITIVE_INFINITY,
      canRead: matcher('rwa'),
      canWrite: matcher('wa'),
      canSubscribe: (wanted) => granted('ra').some((pattern) => covers(pattern, wanted)),
    }
  }
}
