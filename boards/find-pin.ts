import type { Board, Pin } from './board.ts'

const MOST_OFFERED = 3

/** A pin that the board does not have. */
export interface NoSuchPin {
  /** Names of pins with a line that may have been meant, best first; empty when the board has no described pins. */
  nearest: string[]
}

/**
 * The pin with this name: as the vendor names it (`GPIO17`, `P9_12`), as a kernel names its line (`SDA1`), by header and
 * number (`J8:11`), or on a board with one header just by number (`pin 11`). Capitals do not matter.
 */
export function findPin(board: Board, name: string): Pin | NoSuchPin {
  const pins = board.headers.flatMap((header) => header.pins)
  const wanted = name.trim().toUpperCase()
  const number = board.headers.length === 1 ? /^PIN ?(\d+)$/.exec(wanted)?.[1] : undefined
  const isNamed = (pin: Pin) =>
    pin.number === Number(number) ||
    (pin.line !== undefined && pin.name.toUpperCase() === wanted) ||
    pin.lineNames.some((lineName) => lineName.toUpperCase() === wanted) ||
    `${pin.header}:${pin.number}` === wanted
  return pins.find(isNamed) ?? { nearest: nearestPins(pins, wanted) }
}

/** Names with the same letters before the number come first, then those with the nearest number. */
function nearestPins(pins: readonly Pin[], wanted: string): string[] {
  const [stem, number] = parts(wanted)
  return pins
    .filter(({ line }) => line !== undefined)
    .map(({ name }) => {
      const [itsStem, itsNumber] = parts(name.toUpperCase())
      const sameStem = commonLength(stem, itsStem) - Math.abs(stem.length - itsStem.length)
      return { name, sameStem, distance: Math.abs(number - itsNumber) }
    })
    .sort((a, b) => b.sameStem - a.sameStem || a.distance - b.distance)
    .slice(0, MOST_OFFERED)
    .map(({ name }) => name)
}

function parts(name: string): [stem: string, number: number] {
  const [, stem, digits] = /^(.*?)(\d*)$/.exec(name) as RegExpExecArray
  return [stem, digits === '' ? 0 : Number(digits)]
}

function commonLength(a: string, b: string): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return length
}
