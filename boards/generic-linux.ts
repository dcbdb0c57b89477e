import type { Board } from './board.ts'

/** A board that nobody has described: everything that Linux shows by itself works. */
export function genericLinux(model: string): Board {
  return {
    id: 'generic-linux',
    model,
    isSimulated: false,
    headers: [],
    chips: [],
    buses: [],
    leds: [],
    traps: ['Nobody has described this board: configure lines by chip and offset (gpioinfo lists them).'],
  }
}
