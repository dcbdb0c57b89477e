/** A board that the runtime may run on: data only. A board that nobody has described has empty lists. */
export interface Board {
  /** For configuration and logs: `raspberry-pi-4`, `generic-linux`, `simulated`. */
  id: string
  /** As the board calls itself. */
  model: string
  /** Its signals are made up by the runtime, because nothing is attached. */
  isSimulated: boolean
  headers: readonly Header[]
  /** Those with lines on a header. */
  chips: readonly GpioChip[]
  /** What can be had on the header pins, besides plain lines. Several may want the same pin. */
  buses: readonly Bus[]
  /** Below /sys/class/leds; older kernels call them otherwise, so each is a list of names. */
  leds: readonly (readonly string[])[]
  watchdog?: Watchdog
  /** The filters of a Raspberry Pi's config.txt that apply to it, besides `[all]`: `pi4`. */
  bootFilters?: readonly string[]
  /** What has cost others an evening. One sentence or two each. */
  traps: readonly string[]
}

/** Two rows of pins; odd numbers are in one row, even ones in the other. */
export interface Header {
  /** As printed on the board or in its manual: `J8`, `P9`. */
  name: string
  /** By number, beginning with 1. */
  pins: readonly Pin[]
}

export interface Pin {
  header: string
  number: number
  /** As the vendor's documentation names it, unique on the board for lines: `GPIO17`, `P9_12`, `3V3`, `GND`. */
  name: string
  kind: 'line' | 'power' | 'ground' | 'analog' | 'control' | 'unused'
  line?: Line
  /** A second line that is wired to the same pin: only one of both may be an output. */
  otherLine?: Line
  /** What kernels call the line, where it is not `name`. */
  lineNames: readonly string[]
}

/** A line of a chip of the board. */
export interface Line {
  /** `GpioChip.id` */
  chip: string
  offset: number
}

/**
 * A GPIO controller. Numbers of /dev/gpiochipN change between kernels, so it is known by where it sits in the memory
 * map: its folder in /sys is `ADDRESS.something`.
 */
export interface GpioChip {
  id: string
  /** As the driver labels it, which GPIO_GET_CHIPINFO tells. */
  label: string
  /** Hexadecimal without prefix; empty for simulated ones. */
  address: string
  lines: number
}

export type BusKind = 'i2c' | 'spi' | 'uart' | 'pwm' | 'one-wire'

/** A controller that can take over header pins. */
export interface Bus {
  kind: BusKind
  /** Unique on the board: `i2c1`. */
  name: string
  /** Of the controller in the memory map, as in `GpioChip`. */
  address?: string
  /** Where it usually shows up: `/dev/i2c-1`, `/sys/class/pwm/pwmchip0`. */
  node: string
  /** Names of pins with what each does. */
  pins: readonly (readonly [pin: string, role: string])[]
  /** Any one of them switches it on, after a restart; empty: it is always on. */
  enable: readonly Enable[]
  /** Without such a line the controller may be at work, but for something else on the board. */
  needsLine?: boolean
  /** A bus that takes the same pins away from this one when it is asked for. */
  yieldsTo?: string
  note?: string
}

/** A line of a file that the boot loader reads. */
export interface Enable {
  file: BootFile
  line: string
  /** Lines that do the same. */
  same?: readonly string[]
}

export type BootFile = 'config.txt' | 'armbianEnv.txt' | 'orangepiEnv.txt' | 'uEnv.txt'

export interface Watchdog {
  node: string
  /** The hardware can count no further; not told where the driver goes beyond. */
  maxTimeoutSeconds?: number
}

/** A board without what it is called at run time. */
export interface BoardDescription extends Omit<Board, 'model' | 'isSimulated'> {
  /** How people call it. */
  title: string
  /** What the device tree may say of it; either counts. */
  models: RegExp
  compatible: readonly string[]
}

/** One entry of the registry: recognises a board by what the device tree says. */
export interface BoardKind {
  /** The board as its data file has it. */
  board: Board
  /** Undefined when it is another board. `compatible`: most particular first. */
  match(model: string, compatible: readonly string[]): Board | undefined
}

export function defineBoard({ title, models, compatible: names, ...data }: BoardDescription): BoardKind {
  const board = (model: string): Board => ({ ...data, model, isSimulated: false })
  return {
    board: board(title),
    match(model, compatible) {
      const isIt = models.test(model) || names.some((name) => compatible.includes(name))
      return isIt ? board(model || title) : undefined
    },
  }
}
