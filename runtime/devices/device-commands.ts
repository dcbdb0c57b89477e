import type { AnyDeviceKind, Plain, SignalSpec } from '../../devices/device.ts'
import type { DeviceEntry } from '../../devices/device-entry.ts'
import type { Clock } from '../router/clock.ts'
import type { DeviceRouter } from './device-router.ts'
import type { DeviceSession } from './device-session.ts'
import { type Commanded, OutputCommands, outputsOf } from './output-commands.ts'
import { Wishes } from './wishes.ts'

/** Whether it matters who writes to a device. */
export function tracksOwner(kind: AnyDeviceKind, entry: DeviceEntry): boolean {
  return Object.values(outputsOf(kind, entry)).some(({ ownerTimeout }) => ownerTimeout > 0)
}

/** What a device is told to be: of outputs, each by itself. */
export class DeviceCommands {
  private readonly device: Commanded
  private readonly current: Wishes
  private readonly outputs: readonly OutputCommands[]

  constructor(
    entry: DeviceEntry,
    kind: AnyDeviceKind,
    specs: Readonly<Record<string, SignalSpec>>,
    session: DeviceSession,
    { router, clock }: { router: DeviceRouter; clock: Clock },
    device: Commanded,
  ) {
    this.device = device
    this.current = new Wishes(specs, session, router)
    const parts = { router, clock, session, wishes: this.current }
    this.outputs = Object.entries(outputsOf(kind, entry)).map(
      ([key, options]) => new OutputCommands(key, options, entry.name, parts, device),
    )
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
  onWriter(key: string, id: string): void {
    this.outputOf(key)?.onWriter(id)
  }

  onWrite(key: string, value: Plain): void {
    const output = this.outputOf(key)
    if (output === undefined) this.device.write(key, value)
    else output.onWrite(key, value)
  }

  onHub(isUp: boolean): void {
    for (const output of this.outputs) output.onHub(isUp)
    // Others know by themselves what it means to them.
    if (this.outputs.length === 0 && !isUp) this.device.makeSafe('link', false)
  }

  /** The device is open, and its outputs are safe. `wishes`: those from before it was opened. */
  begin(wishes: ReturnType<Wishes['all']>): void {
    for (const output of this.outputs) output.begin(wishes)
  }

  close(): void {
    for (const output of this.outputs) output.close()
  }

  private outputOf(key: string): OutputCommands | undefined {
    return this.outputs.find((output) => output.covers(key))
  }
}
