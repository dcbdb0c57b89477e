import type { Board } from '../../boards/board.ts'
import { type BusyLines, lineKey } from '../../boards/busy-lines.ts'
import { findPin } from '../../boards/find-pin.ts'
import type { DeviceEntry } from '../../devices/device-entry.ts'
import { deviceKinds } from '../../devices/index.ts'

/**
 * The lines that devices of the configuration are on, by `lineKey`, with the device's name. `chips`: nodes by the ids of
 * the board's chips. What names no line of the board is left out: the start of the runtime tells of it.
 */
export function configuredLines(
  devices: readonly DeviceEntry[],
  board: Board,
  chips: ReadonlyMap<string, string>,
): BusyLines {
  const lines = new Map<string, string>()
  for (const { name, kind, options } of devices) {
    const specs = deviceKinds.find((known) => known.kind === kind)?.options ?? {}
    for (const [key, { type }] of Object.entries(specs)) {
      const text = options[key]
      const line = type === 'line' && typeof text === 'string' ? keyOf(text) : undefined
      if (line !== undefined) lines.set(line, name)
    }
  }
  return lines

  /** The ways to name a line are those of `devices/io/line-name.ts`. */
  function keyOf(text: string): string | undefined {
    const [, node, offset] = /^(gpiochip\d+):(\d+)$/.exec(text) ?? []
    const chip = [...chips].find(([, path]) => path === `/dev/${node}`)?.[0]
    if (chip !== undefined) return lineKey(chip, Number(offset))
    const pin = findPin(board, text)
    return 'line' in pin && pin.line !== undefined ? lineKey(pin.line.chip, pin.line.offset) : undefined
  }
}
