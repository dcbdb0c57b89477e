import type { BusKind } from '../../boards/board.ts'
import type { BusState } from '../../boards/bus-states.ts'
import type { AnyDeviceKind } from '../../devices/device.ts'
import type { DeviceEntry } from '../../devices/device-entry.ts'
import { deviceKinds } from '../../devices/index.ts'

/** Something of the machine that a device cannot do without. */
export interface DeviceNeed {
  /** Name of the device. */
  device: string
  what: 'gpio' | 'input' | BusKind
  /** What is opened: `/dev/i2c-1`, `/sys/class/pwm/pwmchip0`; absent where it is not known before. */
  path?: string
  /** Of a PWM chip: which of its pins. */
  channel?: number
}

/** Namespaces of drivers that go through files of the kernel, with what has to be there for those. */
const BY_NAMESPACE: Readonly<Record<string, DeviceNeed['what']>> = {
  pwm: 'pwm',
  servo: 'pwm',
  w1: 'one-wire',
  input: 'input',
}

/** What configured devices need. Those that are simulated need nothing: `simulate` is for those that do not say. */
export function deviceNeeds(devices: readonly DeviceEntry[], simulate = false): DeviceNeed[] {
  return devices.flatMap((entry) => {
    const kind = deviceKinds.find((known) => known.kind === entry.kind)
    return kind === undefined || (entry.simulate ?? simulate) ? [] : needsOf(entry, kind)
  })
}

function needsOf({ name: device, options }: DeviceEntry, { namespace, options: specs }: AnyDeviceKind): DeviceNeed[] {
  const needs = Object.entries(specs).flatMap(([key, { type }]): DeviceNeed[] => {
    const value = options[key]
    if (value === undefined || value === '') return []
    if (type === 'line') return [{ device, what: 'gpio' }]
    if (type === 'bus') return [{ device, what: 'i2c', path: i2cPath(String(value)) }]
    if (type !== 'port') return []
    const path = String(value).startsWith('/') ? { path: String(value) } : {}
    return [{ device, what: 'uart', ...path }]
  })
  const what = BY_NAMESPACE[namespace]
  if (needs.length > 0 || what === undefined) return needs
  if (what !== 'pwm') return [{ device, what }]
  // Its duty is guarded by whoever holds the lines.
  return [{ device, what, path: `/sys/class/pwm/pwmchip${options.chip}`, channel: Number(options.channel) }]
}

function i2cPath(bus: string): string {
  return bus.startsWith('/') ? bus : `/dev/i2c-${bus}`
}

/** The bus of the board that a need is about; undefined: none of those on its headers. */
export function busOf({ what, path }: DeviceNeed, buses: readonly BusState[]): BusState | undefined {
  const own = buses.filter(({ bus }) => bus.kind === what)
  if (path === undefined) return what === 'one-wire' ? own[0] : undefined
  return own.find(({ nodes }) => nodes.includes(path)) ?? own.find(({ bus }) => bus.node === path)
}

/** Devices by the name of the pin of a bus that they are on. */
export function pinUsers(
  needs: readonly DeviceNeed[],
  buses: readonly BusState[],
): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, string[]>()
  for (const need of needs) {
    const pins = busOf(need, buses)?.bus.pins ?? []
    for (const [pin] of need.channel === undefined ? pins : pins.slice(need.channel, need.channel + 1)) {
      const known = users.get(pin) ?? []
      if (!known.includes(need.device)) users.set(pin, [...known, need.device])
    }
  }
  return users
}
