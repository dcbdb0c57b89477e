import { boolParam, type DeviceContext, defineDevice, type OpenDevice, type SignalSpec } from '../device.ts'
import { ButtonMachine } from '../gpio/button-machine.ts'
import { chipAddress, duration, i2cBus, whole } from '../options.ts'
import { I2cChip, u16le } from './chip.ts'
import { placeOf } from './chip-identity.ts'

/**
 * | register | what |
 * | --- | --- |
 * | 00, 01 | touched electrodes, the first one in bit 0; 01 bit 7: too much current at REXT, cleared by writing 1 |
 * | 2b…35 | how the baseline follows: rising, falling, touched |
 * | 41, 42… | thresholds of each electrode: touch, release |
 * | 5b | debounce: bits 6…4 release, 2…0 touch |
 * | 5c, 5d | charge current and filters: 5d bits 7…5 charge time, 4…3 samples, 2…0 sample interval |
 * | 5e | electrode configuration; all registers but this one are written while it is 0 |
 * | 7b…7f | automatic configuration: control (2 bytes), upper, lower and target limit |
 * | 80 | reset, when 63 is written |
 */
const STATUS = 0x00
const BASELINE = 0x2b
const THRESHOLDS = 0x41
const DEBOUNCE = 0x5b
const FILTER = 0x5c
const ELECTRODES = 0x5e
const AUTO_CONFIGURATION = 0x7b
const RESET = 0x80

const RESET_MS = 2
const FIRST_STATUS_MS = 50
/** Of 5c and 5d after a reset. */
const FILTER_AFTER_RESET = 0x2410
/** Charge current 16 µA, charge time 0.5 µs (both found automatically per electrode), 4 samples, one every 4 ms. */
const FILTER_SETTINGS = [0x10, 0x22]
/**
 * Half delta, noise half delta, noise count and delay: the baseline follows quickly when it rises (the finger was there at
 * the start), slowly when it falls (a finger comes near), and not at all while touched. As in AN3944.
 */
const BASELINE_SETTINGS = [0x01, 0x01, 0x00, 0x00, 0x01, 0x01, 0xff, 0x02, 0x00, 0x00, 0x00]
/** Charges each electrode to a target, at the start and when it leaves the limits; for a supply of 3.3 V (AN3889). */
const AUTO_SETTINGS = [0x0b, 0x00, 201, 131, 181]
/** With the number of electrodes: the first baseline is what is measured first. */
const TRACK_BASELINE = 0x80
const OVER_CURRENT = 0x8000
const MAX_ELECTRODES = 12
/** So often it is made sure that it has not forgotten everything in a dip of its supply. */
const CHECK_EVERY = 50

/**
 * NXP (Freescale) MPR121: up to 12 touch electrodes. ADDR at ground is 0x5a, at the supply 0x5b, at SDA 0x5c, at SCL 0x5d.
 * The chip finds out by itself what is a touch; it is asked at an interval, so its IRQ line is not needed.
 * Source: Freescale data sheet MPR121 Rev. 4 (02/2013): register map; application notes AN3944 (quick start), AN3889
 * (charging) and AN3892 (debounce); bridges.md §20.3.
 */
export const mpr121 = defineDevice({
  kind: 'mpr121',
  description: 'An MPR121: up to 12 touch electrodes, each like a button.',
  namespace: 'i2c',
  options: {
    bus: i2cBus,
    chipAddress: chipAddress([0x5a, 0x5b, 0x5c, 0x5d]),
    electrodes: whole('So many are connected, from ELE0 on.', MAX_ELECTRODES, { min: 1, max: MAX_ELECTRODES }),
    touch: whole('Threshold of a touch; less is more sensitive.', 12, { min: 1, max: 255 }),
    release: whole('Threshold of a release, below that of a touch.', 6, { min: 0, max: 254 }),
    debounce: whole('So many more samples, each of 16 ms, must agree.', 1, { min: 0, max: 7 }),
    long: duration('Held for so long is a long press.', 500, { minMs: 50, maxMs: 60_000 }),
    repeat: duration('Between repeats after a long press; 0s = none.', 0, { minMs: 0, maxMs: 60_000 }),
    double: duration('Two touches within are a double click; 0s = never.', 0, { minMs: 0, maxMs: 5000 }),
  },
  sampleMs: 20,
  isReopened: true,
  isOwnTwin: true,
  check: ({ touch, release }) => (release >= touch ? 'release is to be less than touch' : undefined),
  signals: ({ electrodes }) =>
    Object.fromEntries(
      numbers(electrodes).flatMap((electrode): [string, SignalSpec][] => [
        [`${electrode}`, boolParam('r', `true = electrode ${electrode} is touched`)],
        [
          `${electrode}/event`,
          {
            type: 'event',
            datatype: 'map',
            access: 'r',
            description: 'type: press, release, click, double, long or repeat; count, held_ms, t in µs',
          },
        ],
      ]),
    ),
  simulatedInputs: ({ electrodes }) =>
    Object.fromEntries(
      numbers(electrodes).map((electrode) => [`${electrode}`, boolParam('rw', `Touches electrode ${electrode}`)]),
    ),
  async open(context): Promise<OpenDevice> {
    const { options, isSimulated, i2c, clock } = context
    const electrodes = numbers(options.electrodes).map((electrode) => new Electrode(electrode, options, context))
    const stop = () => {
      for (const electrode of electrodes) electrode.stop()
    }
    if (isSimulated) {
      for (const electrode of electrodes) electrode.feel(false)
      const play = electrodes.map((electrode, at) => [`${at}`, (value: unknown) => electrode.feel(value === true)])
      return { play: Object.fromEntries(play), close: stop }
    }
    const bus = await i2c.open(options.bus, (error) => context.lost(error))
    const chip = new I2cChip(bus, options.chipAddress, clock, context.signal)
    let readings = 0
    const read = async () => {
      if (readings % CHECK_EVERY === 0) await checkSetUp(chip)
      const status = u16le(await chip.readFrom(STATUS, 2))
      if (status & OVER_CURRENT) {
        throw new Error(`the MPR121 at ${placeOf(chip)} has stopped: check the resistor at its pin REXT (75 kΩ)`)
      }
      readings++
      for (const [at, electrode] of electrodes.entries()) electrode.feel(((status >> at) & 1) === 1)
      return {}
    }
    try {
      await setUp(chip, options)
      // One that stops at once is not there.
      await read()
    } catch (error) {
      await bus.close()
      throw error
    }
    return {
      read,
      close() {
        stop()
        return bus.close()
      },
    }
  },
})

interface TouchOptions {
  electrodes: number
  touch: number
  release: number
  debounce: number
  long: number
  repeat: number
  double: number
}

/** One electrode as a button. */
class Electrode {
  private readonly key: string
  private readonly context: Pick<DeviceContext, 'set' | 'clock'>
  private readonly machine: ButtonMachine
  private isTouched: boolean | undefined

  constructor(electrode: number, options: TouchOptions, context: Pick<DeviceContext, 'set' | 'emit' | 'clock'>) {
    this.key = `${electrode}`
    this.context = context
    const times = { longMs: options.long, repeatMs: options.repeat, doubleMs: options.double }
    this.machine = new ButtonMachine(times, context.clock, (type, count, held_ms) =>
      context.emit(`${electrode}/event`, { type, count, held_ms, t: context.clock.wallUs() }),
    )
  }

  feel(isTouched: boolean): void {
    if (isTouched === this.isTouched) return
    const isFirst = this.isTouched === undefined
    this.isTouched = isTouched
    this.context.set(this.key, isTouched)
    // One that is touched while the router starts was not touched now.
    if (!isFirst) this.machine.change(isTouched, this.context.clock.now())
  }

  stop(): void {
    this.machine.stop()
  }
}

async function setUp(chip: I2cChip, { electrodes, touch, release, debounce }: TouchOptions): Promise<void> {
  await chip.write(RESET, 0x63)
  await chip.wait(RESET_MS)
  if (u16le(await chip.readFrom(FILTER, 2)) !== FILTER_AFTER_RESET) {
    throw new Error(`the chip at ${placeOf(chip)} is no MPR121, or it was not reset: check the part and its wires`)
  }
  await chip.write(BASELINE, ...BASELINE_SETTINGS)
  await chip.write(THRESHOLDS, ...numbers(MAX_ELECTRODES).flatMap(() => [touch, release]))
  await chip.write(DEBOUNCE, (debounce << 4) | debounce)
  await chip.write(FILTER, ...FILTER_SETTINGS)
  await chip.write(AUTO_CONFIGURATION, ...AUTO_SETTINGS)
  await chip.write(ELECTRODES, TRACK_BASELINE | electrodes)
  await chip.wait(FIRST_STATUS_MS)
}

async function checkSetUp(chip: I2cChip): Promise<void> {
  if ((await chip.readByte(ELECTRODES)) & 0x0f) return
  throw new Error(`the MPR121 at ${placeOf(chip)} has lost its set-up: check its supply`)
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at)
}
