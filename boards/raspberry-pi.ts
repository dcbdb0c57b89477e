import type { Board, BoardKind } from './board.ts'
import { RASPBERRY_PI_TRAPS } from './raspberry-pi-buses.ts'

/**
 * Model strings as the firmware writes them into the device tree, for example `Raspberry Pi 4 Model B Rev 1.5`.
 * The more particular come first. Source: raspberrypi.com/documentation, revision codes.
 */
const MODELS: readonly [pattern: RegExp, id: string][] = [
  [/^Raspberry Pi Compute Module (\d)(S?)/, 'raspberry-pi-cm'],
  [/^Raspberry Pi Zero/, 'raspberry-pi-zero'],
  [/^Raspberry Pi (\d+)/, 'raspberry-pi'],
  [/^Raspberry Pi Model/, 'raspberry-pi-1'],
]

const board = (id: string, model: string): Board => ({
  id,
  model,
  isSimulated: false,
  headers: [],
  chips: [],
  buses: [],
  leds: [['ACT', 'led0']],
  traps: RASPBERRY_PI_TRAPS,
})

/** Models without a data file of their own: known by name. */
export const raspberryPi: BoardKind = {
  board: board('raspberry-pi', 'Raspberry Pi'),
  match(model) {
    for (const [pattern, prefix] of MODELS) {
      const found = pattern.exec(model)
      if (found === null) continue
      const [, generation, suffix = ''] = found
      return board(generation === undefined ? prefix : `${prefix}-${generation}${suffix.toLowerCase()}`, model)
    }
    return undefined
  },
}
