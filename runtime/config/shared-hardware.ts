import type { AnyDeviceKind } from '../../devices/device.ts'
import type { DeviceEntry } from '../../devices/device-entry.ts'
import { hexAddress } from '../../devices/i2c/bus.ts'
import { deviceKinds } from '../../devices/index.ts'
import type { Placed } from './kind-list.ts'
import { type Problem, problemAt } from './problem.ts'

/** What several devices cannot have in common, and what they have to. */
export function checkShared(entries: readonly Placed<DeviceEntry>[], problems: Problem[]): void {
  checkClaims(entries, problems)
  checkInterlocks(entries, problems)
}

/** An address, a line, a port, a chip, or what else their kinds name. */
function checkClaims(entries: readonly Placed<DeviceEntry>[], problems: Problem[]): void {
  const users = new Map<string, string>()
  for (const { entry, node } of entries) {
    for (const thing of claimsOf(entry)) {
      const user = users.get(thing)
      if (user === undefined) users.set(thing, entry.name)
      else problems.push(problemAt(node, `${node.path}: ${thing} is used by ${user} already`, 'give it another one'))
    }
  }
}

function claimsOf(entry: DeviceEntry): string[] {
  const kind = deviceKinds.find((one) => one.kind === entry.kind) as AnyDeviceKind
  const { options } = entry
  const parts = Object.entries(kind.options).flatMap(([key, { type }]) => {
    const value = options[key]
    if (type === 'line' && value !== '' && value !== undefined) return [`the line ${value}`]
    if (type === 'port') return [`the serial port ${value}`]
    if (type === 'chip') return [`the chip ${hexAddress(Number(value))} of I2C bus ${busNumber(options.bus)}`]
    return []
  })
  return [
    `the address ${entry.address ?? `/${kind.namespace}/${entry.name}`}`,
    ...parts,
    ...(kind.claims?.(options) ?? []),
  ]
}

/** `/dev/i2c-1` is the bus 1. */
function busNumber(bus: unknown): string {
  return String(bus).replace(/^\/dev\/i2c-(?=\d+$)/, '')
}

/**
 * Lines of the board are interlocked among themselves, and pins of a chip are: nobody would keep two outputs apart that are
 * in different places, or one that is alone because of a slip of the pen.
 */
function checkInterlocks(entries: readonly Placed<DeviceEntry>[], problems: Problem[]): void {
  const all = entries.flatMap(({ entry, node }) =>
    interlocksOf(entry).map((name) => ({ name, node, device: entry.name, place: placeOf(entry) })),
  )
  for (const [at, { name, node, device, place }] of all.entries()) {
    const first = all.findIndex((one) => one.name === name)
    const { place: firstPlace, device: other } = all[first]
    if (first === at && all.filter((one) => one.name === name).length === 1) {
      problems.push(
        problemAt(
          node,
          `${node.path}: nothing but ${device} has the interlock ${name}`,
          'name it at the other output, too, or leave it out',
        ),
      )
    } else if (place !== firstPlace) {
      const reason = `cannot keep ${device} apart from ${other}, which is not on the same chip`
      const message = `${node.path}: the interlock ${name} ${reason}`
      problems.push(problemAt(node, message, 'only lines of the board, or pins of one expander, can be interlocked'))
    }
  }
}

/** Of the device itself, or of the outputs in its table. */
function interlocksOf({ options }: DeviceEntry): string[] {
  const rows = Object.values(options).flatMap((value) => (Array.isArray(value) ? value : []))
  return [options, ...rows.filter(({ direction }) => direction === 'out')].flatMap(({ interlock }) =>
    typeof interlock === 'string' ? [interlock] : [],
  )
}

function placeOf({ name, options }: DeviceEntry): string {
  return typeof options.interlock === 'string' ? 'lines' : `chip ${name}`
}
