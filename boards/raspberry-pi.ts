import type { BoardKind } from './board.ts'

/**
 * Model strings as the firmware writes them into the device tree, for example `Raspberry Pi 4 Model B Rev 1.5`.
 * The more particular come first. Source: raspberrypi.com/documentation, revision codes.
 */
const MODELS: readonly [pattern: RegExp, id: string][] = [
  [/^Raspberry Pi Compute Module (\d)(S?)/, 'raspberry-pi-cm'],
  [/^Raspberry Pi Zero 2/, 'raspberry-pi-zero-2'],
  [/^Raspberry Pi Zero/, 'raspberry-pi-zero'],
  [/^Raspberry Pi (\d+)/, 'raspberry-pi'],
  [/^Raspberry Pi Model/, 'raspberry-pi-1'],
]

export const raspberryPi: BoardKind = {
  match(model) {
    for (const [pattern, prefix] of MODELS) {
      const found = pattern.exec(model)
      if (found === null) continue
      const [, generation, suffix = ''] = found
      const id = generation === undefined ? prefix : `${prefix}-${generation}${suffix.toLowerCase()}`
      return { id, model, isSimulated: false }
    }
    return undefined
  },
}
