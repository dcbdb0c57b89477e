import { LineError, type LineInfo } from './lines.ts'

/** A pin of the board's header, from the data of the board. */
export interface HeaderPin {
  number: number
  /** On the board: `GPIO17`, `P9_12`, `GND`. */
  name: string
  /** The line on it; absent: it is no GPIO. */
  line?: {
    /** What kernels call it, besides the name of the pin. */
    names: readonly string[]
    /** `LineInfo.chip`, where it is known; '' = this kernel does not have that chip. */
    chip?: string
    /** `LineInfo.label` of its chip, for when it is not. */
    label: string
    offset: number
  }
}

const PIN = /^pin ?(\d+)$/i
const OFFSET = /^(gpiochip\d+):(\d+)$/
const NEAREST = 3

/** Whether a text can name a line. */
export function isLineName(text: string): boolean {
  return text.length <= 31 && /^[\x21-\x7e]+( \d+)?$/.test(text)
}

/** The line that a text names. Throws a LineError that offers what is near when there is none. */
export function findLine(text: string, lines: readonly LineInfo[], pins: readonly HeaderPin[] = []): LineInfo {
  const pin = PIN.exec(text)
  if (pin !== null) return findPin(Number(pin[1]), lines, pins)
  const place = OFFSET.exec(text)
  if (place !== null) return findOffset(place[1], Number(place[2]), lines)
  const named = lines.filter(({ name }) => name === text)
  if (named.length === 1) return named[0]
  if (named.length > 1) {
    const places = named.map(({ chip, offset }) => `${chip}:${offset}`).join(', ')
    throw new LineError('unknown', `several lines are called ${text}: write one of ${places}`)
  }
  const onHeader = pins.find(({ name }) => name === text)
  if (onHeader !== undefined) return lineOf(onHeader, lines)
  const names = [...lines.map(({ name }) => name), ...pins.flatMap(({ name, line }) => (line ? [name] : []))]
  const near = nearestNames(text, names)
  const remedy = near.length > 0 ? `the nearest are ${near.join(', ')}` : 'clasp-edge board shows those of this board'
  throw new LineError('unknown', `this board has no line ${text}: ${remedy}`)
}

function findPin(number: number, lines: readonly LineInfo[], pins: readonly HeaderPin[]): LineInfo {
  const found = pins.filter((pin) => pin.number === number)
  if (found.length === 1 && found[0].line !== undefined) return lineOf(found[0], lines)
  if (pins.length === 0) {
    throw new LineError(
      'unknown',
      `the header of this board is not known: write the name of the line, not pin ${number}`,
    )
  }
  if (found.length > 1) {
    const names = found.map(({ name }) => name).join(' or ')
    throw new LineError('unknown', `this board has several headers: write ${names}, not pin ${number}`)
  }
  const near = pins
    .filter(({ line }) => line !== undefined)
    .sort((a, b) => Math.abs(a.number - number) - Math.abs(b.number - number))
    .slice(0, NEAREST)
    .map((pin) => `pin ${pin.number} (${pin.name})`)
  const what = found.length === 1 ? `is no GPIO but ${found[0].name}` : 'is not there'
  throw new LineError('unknown', `pin ${number} of the header ${what}: the nearest are ${near.join(', ')}`)
}

/** The same pin has other names with other kernels; its place within the chip stays. */
function lineOf({ name, number, line }: HeaderPin, lines: readonly LineInfo[]): LineInfo {
  if (line === undefined) throw new LineError('unknown', `pin ${number} of the header is no GPIO but ${name}`)
  const found =
    lines.find((one) => one.name === name || line.names.includes(one.name)) ??
    lines.find(({ chip, label, offset }) => {
      const isChip = line.chip === undefined ? label === line.label : chip === line.chip
      return isChip && offset === line.offset
    })
  if (found !== undefined) return found
  throw new LineError('missing', `this kernel shows no line for ${name} (pin ${number}): see clasp-edge board`)
}

function findOffset(chip: string, offset: number, lines: readonly LineInfo[]): LineInfo {
  const own = lines.filter((line) => line.chip === chip)
  const found = own.find((line) => line.offset === offset)
  if (found !== undefined) return found
  if (own.length > 0) {
    throw new LineError('unknown', `${chip} has no line ${offset}: it has 0 to ${own.length - 1}`)
  }
  const chips = [...new Set(lines.map((line) => line.chip))]
  const remedy = chips.length > 0 ? `there is ${chips.join(', ')}` : 'this kernel shows none'
  throw new LineError('missing', `no GPIO chip ${chip}: ${remedy}`)
}

/** Names that differ in their number or by a letter, nearest first. */
function nearestNames(text: string, names: readonly string[]): string[] {
  const wanted = parts(text)
  return [...new Set(names)]
    .filter((name) => name !== '')
    .map((name) => ({ name, distance: distance(wanted, parts(name)) }))
    .filter((candidate) => Number.isFinite(candidate.distance))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, NEAREST)
    .map(({ name }) => name)
}

/** `GPIO17` is the word `gpio` and the number 17. */
function parts(name: string): { word: string; number: number } {
  const match = /^(.*?)[-_ ]?(\d+)$/.exec(name.toLowerCase())
  return match === null ? { word: name.toLowerCase(), number: 0 } : { word: match[1], number: Number(match[2]) }
}

function distance(a: { word: string; number: number }, b: { word: string; number: number }): number {
  const isSlip = a.word === b.word || a.word.startsWith(b.word.slice(0, 3)) || a.word === ''
  return isSlip ? Math.abs(a.number - b.number) + (a.word === b.word ? 0 : 1) : Number.POSITIVE_INFINITY
}
