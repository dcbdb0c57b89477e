import { boolParam, defineDevice, type Plain, type SignalSpec } from '../device.ts'
import { chipAddress, choice, flag, i2cBus, text, whole } from '../options.ts'
import { I2cChip } from './chip.ts'
import { ChipUpkeep } from './chip-upkeep.ts'
import { Ssd1306, type Ssd1306Look, WIDTH } from './ssd1306-chip.ts'
import { TextScreen } from './text-screen.ts'

const CHECK_MS = 2000
const PAGES = { '128x64': 8, '128x32': 4 } as const

/**
 * A display of 8 or 4 lines of 21 characters with an SSD1306. Only what has changed is sent. Source: its data sheet, see
 * `ssd1306-chip.ts`.
 */
export const ssd1306 = defineDevice({
  kind: 'ssd1306',
  description: 'A small display with an SSD1306, for text: lines of 21 characters.',
  namespace: 'display',
  isOwnTwin: true,
  options: {
    bus: i2cBus,
    chipAddress: chipAddress([0x3c, 0x3d]),
    size: choice('Its pixels: 8 lines of text, or 4.', '128x64', ['128x64', '128x32']),
    turned: flag('It hangs upside down.', false),
    contrast: whole('Brightness at the start.', 127, { min: 0, max: 255 }),
    text: text('What it shows at the start, with line breaks.'),
    whenGone: text('What it shows when the router stops, hangs or is gone; without it the display goes dark.'),
  },
  signals: ({ size }) => ({
    text: textParam(`Up to ${PAGES[size]} lines of 21 characters, with line breaks`),
    ...Object.fromEntries(lineKeys(PAGES[size]).map((key, at) => [key, textParam(`Line ${at + 1}`)])),
    contrast: { type: 'param', datatype: 'i64', access: 'rw', unit: '1', range: [0, 255], description: 'Brightness' },
    on: boolParam('rw', 'true = it is lit'),
    inverse: boolParam('rw', 'true = dark on light'),
  }),
  async open(context) {
    const { options, clock, set, lost, problem, name, isSimulated } = context
    const pages = PAGES[options.size]
    const blank = new TextScreen(WIDTH, new Array<string>(pages).fill(''))
    const gone = options.whenGone === undefined ? undefined : blank.withText(options.whenGone)
    let screen = blank.withText(options.text ?? '')
    let look: Ssd1306Look = { contrast: options.contrast, isInverse: false, isOn: true }
    /** What the display has; undefined: nobody knows. */
    let drawn: Uint8Array | undefined
    let shown: Ssd1306Look | undefined
    const bus = await context.i2c.open(options.bus, (error) => lost(error))
    const chip = new Ssd1306(new I2cChip(bus, options.chipAddress, clock, context.signal), {
      pages,
      isTurned: options.turned,
    })
    const draw = async () => {
      const { frame } = screen
      const had = drawn ?? frame.map((byte) => ~byte)
      drawn = had
      for (let page = 0; page < pages; page++) {
        const at = page * WIDTH
        const [from, to] = difference(had.subarray(at, at + WIDTH), frame.subarray(at, at + WIDTH))
        if (from === to) continue
        await chip.draw(page, from, frame.subarray(at + from, at + to))
        had.set(frame.subarray(at, at + WIDTH), at)
      }
      const wanted = look
      if (wanted === shown) return
      await chip.show(wanted)
      shown = wanted
    }
    const upkeep = new ChipUpkeep({
      clock,
      onFailure: lost,
      write: draw,
      async look() {
        // Simulated registers tell no status.
        if (isSimulated || shown === undefined || (await chip.isIntact(shown))) return CHECK_MS
        problem('reset', `${name}: the display had forgotten everything, as after a loss of its supply`)
        drawn = undefined
        shown = undefined
        await chip.setUp()
        await draw()
        return CHECK_MS
      },
    })
    const show = (next: TextScreen) => {
      screen = next
      set('text', screen.text)
      for (const [at, key] of lineKeys(pages).entries()) set(key, screen.lines[at])
      upkeep.write()
    }
    const change = (part: Partial<Ssd1306Look>) => {
      look = { ...look, ...part }
      set('contrast', look.contrast)
      set('on', look.isOn)
      set('inverse', look.isInverse)
      upkeep.write()
    }
    try {
      const guard = await bus.guard(options.chipAddress, chip.writesFor(gone?.frame), () => {
        drawn = undefined
        shown = undefined
        problem('failsafe', `${name} showed that the router is gone: it did not answer in time`)
        upkeep.write()
      })
      try {
        await chip.setUp()
        await draw()
      } catch (error) {
        await guard.close()
        throw error
      }
      upkeep.lookIn(CHECK_MS)
      show(screen)
      change({})
      return {
        write: {
          text: (value) => show(screen.withText(String(value))),
          ...Object.fromEntries(
            lineKeys(pages).map((key, at) => [key, (value: Plain) => show(screen.withLine(at, String(value)))]),
          ),
          contrast: (value) => change({ contrast: Number(value) }),
          on: (value) => change({ isOn: value === true }),
          inverse: (value) => change({ isInverse: value === true }),
        },
        async close() {
          screen = gone ?? blank
          look = { ...look, isOn: gone !== undefined }
          upkeep.write()
          await upkeep.stop()
          await guard.close()
          await bus.close()
        },
      }
    } catch (error) {
      await bus.close()
      throw error
    }
  },
})

function lineKeys(pages: number): string[] {
  return Array.from({ length: pages }, (_, at) => `line/${at + 1}`)
}

function textParam(description: string): SignalSpec {
  return { type: 'param', datatype: 'string', access: 'rw', description }
}

/** First place that differs, and the one behind the last; the same twice when none does. */
function difference(a: Uint8Array, b: Uint8Array): [from: number, to: number] {
  let from = 0
  let to = b.length
  while (from < to && a[from] === b[from]) from++
  while (to > from && a[to - 1] === b[to - 1]) to--
  return [from, to]
}
