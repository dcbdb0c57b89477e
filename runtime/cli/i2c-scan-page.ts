import type { AnyDeviceKind } from '../../devices/device.ts'
import { hexAddress, type I2cBus } from '../../devices/i2c/bus.ts'
import type { BusPlace, KernelDriver } from '../../devices/i2c/bus-place.ts'
import { identifyChip } from '../../devices/i2c/known-chips.ts'
import { deviceKinds } from '../../devices/index.ts'
import { systemClock } from '../router/clock.ts'
import { tableLines } from './table.ts'
import type { Terminal } from './terminal.ts'

/** One chip of a bus. */
export interface ScannedChip {
  address: number
  /** What it says that it is. */
  part?: string
  /** Drivers here that it may be for; one when it was identified. */
  kinds: readonly string[]
  /** Parts without a driver here that it may be. */
  others: readonly string[]
  /** The driver of the kernel that has it. */
  driver?: string
}

/** What is on a bus, in order. `isAsked`: chips are asked what they are. Rejects with an I2cError. */
export async function scanChips(
  bus: I2cBus,
  drivers: readonly KernelDriver[],
  isAsked: boolean,
): Promise<ScannedChip[]> {
  const taken = drivers.map(({ address, driver }) => ({ address, driver, kinds: [], others: [] }))
  const chips: ScannedChip[] = [...taken]
  for (const address of await bus.scan()) {
    if (taken.some((chip) => chip.address === address)) continue
    const { part, kind, notKinds, others } = await identifyChip(bus, address, { clock: systemClock, asked: isAsked })
    const possible = deviceKinds
      .filter(({ kind, options }) => {
        const { addresses, isRequired } = options.chipAddress ?? {}
        // One that takes whatever address it is told says nothing about the chip.
        return addresses?.includes(address) === true && isRequired !== true && !notKinds.includes(kind)
      })
      .sort((a, b) => addressCount(a) - addressCount(b))
      .map((one) => one.kind)
    const own = deviceKinds.some((one) => one.kind === kind) ? [kind as string] : []
    chips.push({ address, part, kinds: part === undefined ? possible : own, others })
  }
  return chips.sort((a, b) => a.address - b.address)
}

/** What can have many addresses is rarely meant. */
function addressCount({ options }: AnyDeviceKind): number {
  return options.chipAddress.addresses?.length ?? 0
}

/** A table of the chips with what to put into the configuration. */
export function scanLines(terminal: Terminal, place: BusPlace, chips: readonly ScannedChip[]): string[] {
  const title = terminal.paint('bold', `I2C bus ${place.name} (${place.path})`)
  if (chips.length === 0) return [title, 'no chip answers: check wires, supply and pull-up resistors']
  const columns = [
    { title: 'ADDRESS' },
    { title: 'CHIP', maxWidth: 60 },
    { title: 'IN THE CONFIGURATION, BELOW devices:' },
  ]
  const rows = chips.map((chip) => [hexAddress(chip.address), chipWords(chip), entryText(place, chip)])
  return [title, ...tableLines(terminal, columns, rows)]
}

function chipWords({ part, kinds, others, driver }: ScannedChip): string {
  if (driver !== undefined) return `the kernel has it (${driver})`
  if (part !== undefined) return part
  const possible = [...kinds, ...others]
  return possible.length === 0 ? 'unknown' : `perhaps ${possible.join(', ')}`
}

function entryText(place: BusPlace, { address, part, kinds, others, driver }: ScannedChip): string {
  if (driver !== undefined) return 'kind: hwmon or iio reads it'
  if (kinds.length === 0) return part === undefined ? '' : 'there is no driver for it'
  const kind = kinds.length === 1 && others.length === 0 ? kinds[0] : '…'
  return `- { name: …, kind: ${kind}, bus: ${place.name}, chipAddress: ${hexAddress(address)} }`
}
