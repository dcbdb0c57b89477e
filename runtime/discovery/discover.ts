import { type Clock, systemClock, type Timer } from '../router/clock.ts'
import { type ProbeTarget, seekByBroadcast } from './discover-broadcast.ts'
import { seekByMdns } from './discover-mdns.ts'
import type { FoundRouter } from './found-router.ts'

export interface Search {
  /** Default 3000. */
  timeoutMs?: number
  /** Ends the search early. */
  signal?: AbortSignal
  /** Called once for each router, as it is found. */
  onFound?: (router: FoundRouter) => void
  /** Whom to send the broadcast probe; default: every broadcast address of this machine. */
  targets?: readonly ProbeTarget[]
  /** Interfaces for mDNS; default: all but loopback. */
  interfaces?: readonly string[]
  clock?: Clock
}

const MDNS_HEAD_START_MS = 300

/** Looks for routers by mDNS and broadcast at once. A router that answers both ways is reported once, by its id or URL. */
export async function discover(search: Search = {}): Promise<FoundRouter[]> {
  const { timeoutMs = 3000, signal, targets, interfaces, clock = systemClock } = search
  const found = new Map<string, FoundRouter>()
  const urls = new Set<string>()
  const onFound = (router: FoundRouter) => {
    if (found.has(router.id) || urls.has(router.url)) return
    found.set(router.id, router)
    urls.add(router.url)
    search.onFound?.(router)
  }
  const end = new AbortController()
  const stop = () => end.abort()
  signal?.addEventListener('abort', stop, { once: true })
  if (signal?.aborted) stop()
  // The wait itself must keep the process alive, which the clock's timers do not.
  const alive = setTimeout(() => {}, timeoutMs + 1000)
  const timer = clock.timer(timeoutMs, stop)
  let probing: Timer | undefined
  try {
    // mDNS tells more: it gets a head start, so that who answers both ways is reported with all that is known.
    probing = clock.timer(MDNS_HEAD_START_MS, () => seekByBroadcast({ signal: end.signal, onFound, targets, clock }))
    await seekByMdns({ signal: end.signal, onFound, only: interfaces, clock })
  } finally {
    stop()
    timer.cancel()
    probing?.cancel()
    clearTimeout(alive)
    signal?.removeEventListener('abort', stop)
  }
  return [...found.values()]
}
