import { leafOptions } from '../config/part-options.ts'
import { ConfigError } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import type { RunningJournal } from '../journal/journal.ts'
import type { Timer } from '../router/clock.ts'
import type { EdgeScope } from './scope.ts'

/** Outputs that want to be safe without a hub wait so long for its return. */
const HUB_GRACE_MS = 10_000

/** The link to the hub above. `onHub` is told when the hub has been reached, and when it has been away for a while. */
export async function startUplinkPart(
  scope: EdgeScope,
  config: Config,
  journal: RunningJournal | undefined,
  onHub: (isThere: boolean) => void,
): Promise<void> {
  const { url } = config.hub
  if (url === undefined) return
  const { router, clock, log, version, signal, stops, reports } = scope
  const { startLeaf } = await import('../federation/leaf/leaf.ts')
  const { leafReport } = await import('../federation/leaf/leaf-report.ts')
  const { MemoryUplinkStore } = await import('../federation/leaf/memory-uplink-store.ts')
  await checkUplink(config, 'configuration')
  const store = journal?.uplink ?? new MemoryUplinkStore()
  let lost: Timer | undefined
  const onLink = (isUp: boolean) => {
    lost?.cancel()
    lost = isUp ? undefined : clock.timer(HUB_GRACE_MS, () => onHub(false))
    if (isUp) onHub(true)
  }
  const leaf = startLeaf(leafOptions(config.hub, url), { router, store, clock, log, version, onLink, signal })
  stops.push(async () => {
    await leaf.stop()
    lost?.cancel()
  })
  // One that is never reached is gone as well.
  onLink(false)
  reports.uplink = () => leafReport(leaf.statistics, clock.wallUs())
}

/** Throws a ConfigError when what is said of the hub does not fit together. */
export async function checkUplink({ hub }: Config, file: string): Promise<void> {
  if (hub.url === undefined) return
  const { leafProblems } = await import('../federation/leaf/leaf-options.ts')
  const problems = leafProblems(leafOptions(hub, hub.url))
  if (problems.length === 0) return
  throw new ConfigError(
    file,
    problems.map((problem) => ({ line: 0, column: 0, message: `hub.${problem}`, remedy: '' })),
  )
}
