import type { Board, Pin } from '../../boards/board.ts'
import { type BusyLines, lineKey } from '../../boards/busy-lines.ts'
import { findPin } from '../../boards/find-pin.ts'
import type { DeviceEntry } from '../../devices/device-entry.ts'
import { deviceKinds } from '../../devices/index.ts'

/** A line that a device of the configuration names. */
export interface ConfiguredLine {
  device: string
  /** As the configuration has it. */
  text: string
  /** As in `lineKey`; undefined: it names no line of the board. */
  key: string | undefined
  /** Where it is on a header, if it is. */
  pin: Pin | undefined
  /** Of a name that the board does not have: pins that may have been meant. */
  nearest: readonly string[]
}

/**
 * The lines that devices of the configuration name. `chips`: nodes by the ids of the board's chips. The ways to name a line
 * are those of `devices/io/line-name.ts`.
 */
export function namedLines(
  devices: readonly DeviceEntry[],
  board: Board,
  chips: ReadonlyMap<string, string>,
): ConfiguredLine[] {
  return devices.flatMap(({ name: device, kind, options }) => {
    const specs = deviceKinds.find((known) => known.kind === kind)?.options ?? {}
    return Object.entries(specs).flatMap(([key, { type }]): ConfiguredLine[] => {
      const text = options[key]
      return type === 'line' && typeof text === 'string' && text !== '' ? [{ device, text, ...placeOf(text) }] : []
    })
  })

  function placeOf(text: string): Omit<ConfiguredLine, 'device' | 'text'> {
    const [, node, offset] = /^(gpiochip\d+):(\d+)$/.exec(text) ?? []
    if (node !== undefined) {
      const chip = [...chips].find(([, path]) => path === `/dev/${node}`)?.[0]
      const last = (board.chips.find(({ id }) => id === chip)?.lines ?? Number.POSITIVE_INFINITY) - 1
      if (Number(offset) > last) return { key: undefined, pin: undefined, nearest: [`${node}:${last}`] }
      const pins = board.headers.flatMap((header) => header.pins)
      const pin = pins.find(({ line }) => line?.chip === chip && line?.offset === Number(offset))
      return { key: chip === undefined ? undefined : lineKey(chip, Number(offset)), pin, nearest: [] }
    }
    const found = findPin(board, text)
    if ('nearest' in found) return { key: undefined, pin: undefined, nearest: found.nearest }
    const { line, name, lineNames } = found
    // The board's pages also know it by other capitals, and by its header.
    const isTaken = /^pin ?\d+$/i.test(text) || text === name || lineNames.includes(text)
    if (!isTaken) return { key: undefined, pin: undefined, nearest: [name] }
    return { key: line === undefined ? undefined : lineKey(line.chip, line.offset), pin: found, nearest: [] }
  }
}

/** Those of the board, by `lineKey`, with the device's name. */
export function configuredLines(
  devices: readonly DeviceEntry[],
  board: Board,
  chips: ReadonlyMap<string, string>,
): BusyLines {
  const named = namedLines(devices, board, chips)
  return new Map(named.flatMap(({ key, device }) => (key === undefined ? [] : [[key, device] as const])))
}
