import type { DeviceEntry } from '../../devices/device-entry.ts'
import type { Clock } from '../router/clock.ts'
import type { Log } from '../router/log.ts'
import type { DeviceSession } from './device-session.ts'

/**
 * `absent`: its hardware cannot be had at present; `failing`: it is there, and its readings fail, or some of it does not
 * work.
 */
export type Condition = 'starting' | 'running' | 'failing' | 'absent'

/** How a device is, told to operators and clients whenever that, or the reason, is new. */
export class DeviceState {
  condition: Condition = 'starting'
  /** Why it does not run; '' when it does. */
  problem = ''
  private readonly entry: DeviceEntry
  private readonly isSimulated: boolean
  private readonly everyMs: number | undefined
  private readonly session: DeviceSession
  private readonly clock: Clock
  private readonly log: Log
  private sinceUs: number

  /** `everyMs`: between its readings, if it has some. */
  constructor(
    entry: DeviceEntry,
    isSimulated: boolean,
    everyMs: number | undefined,
    session: DeviceSession,
    { clock, log }: { clock: Clock; log: Log },
  ) {
    this.entry = entry
    this.isSimulated = isSimulated
    this.everyMs = everyMs
    this.session = session
    this.clock = clock
    this.log = log
    this.sinceUs = clock.wallUs()
  }

  enter(condition: Condition, problem: string): void {
    if (condition === this.condition && problem === this.problem) return
    const { entry, session, isSimulated, everyMs } = this
    const { name, kind } = entry
    const address = { kind, address: session.address, ...(isSimulated && { simulated: true }) }
    if (condition === 'running') this.log.info(`device ${name} is running`, address)
    else this.log.warn(`device ${name}: ${problem}`, { kind, state: condition })
    if (condition !== this.condition) this.sinceUs = this.clock.wallUs()
    this.condition = condition
    this.problem = problem
    if (problem !== '') session.tellProblem(condition, problem)
    session.tellHealth(condition === 'running', {
      kind,
      driver: kind,
      state: condition,
      problem,
      simulated: isSimulated,
      since: this.sinceUs,
      ...(everyMs !== undefined && { everyMs }),
      ...settingsOf(entry),
    })
  }

  /** What went wrong while it goes on as it is. */
  tellProblem(code: string, message: string): void {
    this.log.warn(`device ${this.entry.name}: ${message}`, { code })
    this.session.tellProblem(code, message)
  }

  /** The driver failed, which it should not whatever happens outside. */
  onBug(error: Error): void {
    const { name, kind } = this.entry
    this.log.error(`device ${name}: the driver ${kind} failed: ${error.message}`, { stack: error.stack })
  }
}

/** The options that fit into a map, and what is done to signals: `temperature/offset`. */
function settingsOf({ options, signals }: DeviceEntry): Record<string, string | number | boolean> {
  const treatments = Object.entries(signals).flatMap(([key, settings]) =>
    Object.entries(settings).map(([name, value]) => [`${key}/${name}`, value] as const),
  )
  const all: (readonly [string, unknown])[] = [...Object.entries(options), ...treatments]
  const simple = all.filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
  return Object.fromEntries(simple) as Record<string, string | number | boolean>
}
