import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Board, GpioChip } from './board.ts'

/** Lines in use, by `lineKey`, with who has them: a program's consumer name, a driver, or a controller. */
export type BusyLines = ReadonlyMap<string, string>

export function lineKey(chip: string, offset: number): string {
  return `${chip}:${offset}`
}

/**
 * Who has lines of the board now, as far as the kernel's debug files tell; only root may read those. `root` stands for
 * `/`. Never rejects: undefined when they cannot be read.
 */
export async function busyLines(board: Board, root = '/'): Promise<BusyLines | undefined> {
  const debug = join(root, 'sys/kernel/debug')
  const text = await readFile(join(debug, 'gpio'), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const busy = new Map<string, string>()
  // A pin's number is a line's offset only where one chip has all pins of the pin controller.
  if (board.chips.length === 1) {
    const [chip] = board.chips
    const folder = (await readdir(join(debug, 'pinctrl')).catch(() => [])).find((name) => name.startsWith(chip.address))
    const pins = folder === undefined ? '' : join(debug, 'pinctrl', folder, 'pinmux-pins')
    for (const [offset, owner] of muxOwners(await readFile(pins, 'utf8').catch(() => ''))) {
      busy.set(lineKey(chip.id, offset), owner)
    }
  }
  for (const [key, consumer] of lineConsumers(text, board.chips)) busy.set(key, consumer)
  return busy
}

/**
 * /sys/kernel/debug/gpio: a title for each chip (`gpiochip0: GPIOs 512-569, parent: platform/fe200000.gpio, LABEL:`, newer
 * kernels without the range: `gpiochip0: 58 GPIOs, …`), then a line for each that has a name or a consumer
 * (` gpio-529 (GPIO17              |clasp:door          ) out hi`).
 */
function* lineConsumers(text: string, chips: readonly GpioChip[]): Generator<[key: string, consumer: string]> {
  let chip: GpioChip | undefined
  let base = 0
  for (const line of text.split('\n')) {
    const title = /^\s*gpiochip\d+: (?:GPIOs (\d+)-\d+|\d+ GPIOs)(.*)$/.exec(line)
    if (title !== null) {
      const [, first, rest] = title
      base = Number(first ?? 0)
      chip = chips.find(({ address, label }) => rest.includes(`/${address}.`) || rest.includes(`, ${label}:`))
      continue
    }
    const entry = /^\s*gpio-(\d+)\s+\([^|)]*\|([^)]*)\)\s*(\w*)/.exec(line)
    const consumer = entry?.[2].trim() ?? ''
    if (entry === null || chip === undefined || consumer === '') continue
    yield [lineKey(chip.id, Number(entry[1]) - base), entry[3] === '' ? consumer : `${consumer} (${entry[3]})`]
  }
}

/** pinmux-pins: `pin 2 (gpio2): fe804000.i2c (GPIO UNCLAIMED) function alt0 group gpio2`. */
function* muxOwners(text: string): Generator<[offset: number, owner: string]> {
  for (const [, pin, owner] of text.matchAll(/^pin (\d+) \([^)]*\): (?:device )?([\w@.:-]+\.[\w-]+) /gm)) {
    yield [Number(pin), owner]
  }
}
