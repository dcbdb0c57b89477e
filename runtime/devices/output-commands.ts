import type { AnyDeviceKind, Plain } from '../../devices/device.ts'
import type { DeviceEntry } from '../../devices/device-entry.ts'
import type { FailSafeOptions, SafeReason } from '../../devices/fail-safe.ts'
import type { Clock } from '../router/clock.ts'
import type { DeviceRouter } from './device-router.ts'
import type { DeviceSession } from './device-session.ts'
import { FailSafe } from './fail-safe.ts'
import type { Wishes } from './wishes.ts'

const BECAUSE: Readonly<Partial<Record<SafeReason, string>>> = {
  link: 'the hub is gone (onHubLoss)',
  owner: 'the client that set it last is gone (ownerTimeout)',
  deadman: 'nobody has written to it in time (deadman)',
  require: 'what it requires is not so (requires)',
}

/** The device that commands go to. */
export interface Commanded {
  write(key: string, value: Plain): void
  /** `output`: that one of several, by its key; undefined: the device. */
  makeSafe(reason: SafeReason, keepsWish: boolean, output?: string): void
  tellProblem(code: string, message: string): void
}

export interface OutputParts {
  readonly router: DeviceRouter
  readonly clock: Clock
  readonly session: DeviceSession
  readonly wishes: Wishes
}

/** The outputs of a device, by key; that of a device that is one has the key ''. */
export function outputsOf(kind: AnyDeviceKind, { options }: DeviceEntry): Readonly<Record<string, FailSafeOptions>> {
  // The options of such a kind have them among themselves.
  if (kind.isFailSafe === true) return { '': options as unknown as FailSafeOptions }
  return kind.outputs?.(options) ?? {}
}

/** What one output is told to be: by clients, by what was restored, and by what makes it safe. */
export class OutputCommands {
  private readonly key: string
  /** For operators. */
  private readonly name: string
  private readonly options: FailSafeOptions
  private readonly parts: OutputParts
  private readonly device: Commanded
  private readonly failSafe: FailSafe
  /** Session that wrote last, where that matters. */
  private writer: string | undefined
  /** It was open before. */
  private hasBegun = false
  /** What it was told to be was given up when it was made safe, also where its device was away. */
  private isGivenUp = false

  constructor(key: string, options: FailSafeOptions, deviceName: string, parts: OutputParts, device: Commanded) {
    this.key = key
    this.name = key === '' ? deviceName : `${deviceName}/${key}`
    this.options = options
    this.parts = parts
    this.device = device
    this.failSafe = new FailSafe(options, parts.router, parts.clock, this)
  }

  /** Whether a signal belongs to it. */
  covers(key: string): boolean {
    return this.key === '' || key === this.key || key.startsWith(`${this.key}/`)
  }

  onWriter(id: string): void {
    this.writer = id
  }

  onWrite(key: string, value: Plain): void {
    const { failSafe, device, name } = this
    if (!failSafe.allows(value)) {
      // Clients have what was written: they are told what it is.
      this.isGivenUp = true
      device.makeSafe('require', false, this.output)
      const { requires, requiresValue } = this.options
      device.tellProblem('require', `${name} cannot be set unless ${requires} is ${requiresValue}`)
      return
    }
    this.isGivenUp = false
    failSafe.onWrite(this.writer)
    device.write(key, value)
  }

  onHub(isUp: boolean): void {
    if (isUp) this.failSafe.onHubBack()
    else this.failSafe.onHubLost()
  }

  /** The device is open and safe: makes it what it is to be at the start. `wishes`: those from before it was opened. */
  begin(wishes: ReturnType<Wishes['all']>): void {
    const { failSafe, key } = this
    const { initial } = this.options
    const isAgain = this.hasBegun
    this.hasBegun = true
    if (initial === 'safe') return
    if (initial === 'last') this.writer ??= this.parts.wishes.formerWriter(key)
    // One that comes back while it runs goes on as it was told last: the start is over.
    const isLast = initial === 'last' || isAgain
    const isGoal = (one: string) => this.covers(one) && !(this.isGivenUp && one === key)
    const goals = isLast ? wishes.filter(([one]) => isGoal(one)) : [[key, initial === 'on'] as const]
    if (!failSafe.mustStaySafe) {
      for (const [one, value] of goals) this.wish(one, value)
    } else if (failSafe.willGoOn) {
      for (const [one, value] of goals) this.parts.session.set(one, value)
      failSafe.stayUntilBack()
    }
  }

  makeSafe(reason: SafeReason, keepsWish: boolean): void {
    this.isGivenUp ||= !keepsWish
    this.device.makeSafe(reason, keepsWish, this.output)
    this.device.tellProblem('failsafe', `${this.name} is in its safe state: ${BECAUSE[reason] ?? reason}`)
  }

  goOn(): void {
    for (const [key, value] of this.parts.wishes.all()) if (this.covers(key)) this.device.write(key, value)
  }

  close(): void {
    this.failSafe.close()
  }

  private get output(): string | undefined {
    return this.key === '' ? undefined : this.key
  }

  /** As a client would, who sees what it has set. */
  private wish(key: string, value: Plain): void {
    this.parts.session.set(key, value)
    this.onWrite(key, value)
  }
}
