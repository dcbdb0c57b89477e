import type { AnyDeviceKind, Plain, SafeReason } from '../../devices/device.ts'
import type { DeviceEntry } from '../../devices/device-entry.ts'
import type { FailSafeOptions } from '../../devices/fail-safe.ts'
import type { Clock } from '../router/clock.ts'
import type { DeviceRouter } from './device-router.ts'
import type { DeviceSession } from './device-session.ts'
import { FailSafe } from './fail-safe.ts'
import { Wishes } from './wishes.ts'

const BECAUSE: Readonly<Partial<Record<SafeReason, string>>> = {
  link: 'the hub is gone (onHubLoss)',
  owner: 'the client that set it last is gone (ownerTimeout)',
  deadman: 'nobody has written to it in time (deadman)',
  require: 'what it requires is not so (requires)',
}

/** The device that commands go to. */
export interface Commanded {
  write(key: string, value: Plain): void
  makeSafe(reason: SafeReason, keepsWish: boolean): void
  tellProblem(code: string, message: string): void
}

/** Whether it matters who writes to a device. */
export function tracksOwner({ options }: DeviceEntry): boolean {
  return typeof options.ownerTimeout === 'number' && options.ownerTimeout > 0
}

/** What a device is told to be: by clients, by what was restored, and, if it is an output, by what makes it safe. */
export class DeviceCommands {
  private readonly entry: DeviceEntry
  private readonly session: DeviceSession
  private readonly device: Commanded
  private readonly current: Wishes
  private readonly failSafe: FailSafe | null
  /** Session that wrote last, where that matters. */
  private writer: string | undefined
  /** It was open before. */
  private hasBegun = false

  constructor(
    entry: DeviceEntry,
    kind: AnyDeviceKind,
    session: DeviceSession,
    { router, clock }: { router: DeviceRouter; clock: Clock },
    device: Commanded,
  ) {
    this.entry = entry
    this.session = session
    this.device = device
    this.current = new Wishes(kind.signals(entry.options), session, router)
    // The options of such a kind have them among themselves.
    const options = entry.options as unknown as FailSafeOptions
    this.failSafe = kind.isFailSafe === true ? new FailSafe(options, router, clock, this) : null
  }

  /** What clients want it to be. */
  get wishes(): ReturnType<Wishes['all']> {
    return this.current.all()
  }

  /** The same of one param. */
  last(key: string): Plain | undefined {
    return this.current.last(key)
  }

  /** Told before `onWrite`, where it matters. */
  onWriter(id: string): void {
    this.writer = id
  }

  onWrite(key: string, value: Plain): void {
    const { failSafe, device } = this
    if (failSafe?.allows(value) === false) {
      // Clients have what was written: they are told what it is.
      device.makeSafe('require', false)
      const { requires, requiresValue } = this.entry.options
      device.tellProblem('require', `${this.entry.name} cannot be set unless ${requires} is ${requiresValue}`)
      return
    }
    failSafe?.onWrite(this.writer)
    device.write(key, value)
  }

  onHub(isUp: boolean): void {
    const { failSafe, device } = this
    if (isUp) failSafe?.onHubBack()
    else if (failSafe !== null) failSafe.onHubLost()
    // One with several outputs knows by itself which of them are meant.
    else device.makeSafe('link', false)
  }

  /** The device is open and safe: makes it what it is to be at the start. `wishes`: those from before it was opened. */
  begin(wishes: ReturnType<Wishes['all']>): void {
    const { failSafe, session } = this
    const { initial } = this.entry.options
    const isAgain = this.hasBegun
    this.hasBegun = true
    if (failSafe === null || initial === 'safe') return
    if (initial === 'last') this.writer ??= this.current.formerWriter
    // One that comes back while it runs goes on as it was told last: the start is over.
    const goals = initial === 'last' || isAgain ? wishes : [['', initial === 'on'] as const]
    if (!failSafe.mustStaySafe) {
      for (const [key, value] of goals) this.wish(key, value)
    } else if (failSafe.willGoOn) {
      for (const [key, value] of goals) session.set(key, value)
      failSafe.stayUntilBack()
    }
  }

  makeSafe(reason: SafeReason, keepsWish: boolean): void {
    this.device.makeSafe(reason, keepsWish)
    this.device.tellProblem('failsafe', `${this.entry.name} is in its safe state: ${BECAUSE[reason] ?? reason}`)
  }

  goOn(): void {
    for (const [key, value] of this.wishes) this.device.write(key, value)
  }

  close(): void {
    this.failSafe?.close()
  }

  /** As a client would, who sees what it has set. */
  private wish(key: string, value: Plain): void {
    this.session.set(key, value)
    this.onWrite(key, value)
  }
}
