import { defineDevice } from '../device.ts'
import { keepsParam } from '../fail-safe.ts'
import { chipAddress, choice, flag, i2cBus, number, table } from '../options.ts'
import { nameProblem } from '../row-names.ts'
import { I2cChip } from './chip.ts'
import { ChipUpkeep, OUTPUT_RETRY_MS } from './chip-upkeep.ts'
import {
  Channel,
  type ChannelRow,
  channelColumns,
  channelConflict,
  channelSignals,
  safeCount,
} from './pca9685-channels.ts'
import { CHANNELS, Pca9685, prescale, STEPS } from './pca9685-chip.ts'

const CHECK_MS = 2000
const MHZ = 1e6
/** But 0x70, at which all of them answer, and those that I2C keeps for itself. */
const ADDRESSES = Array.from({ length: 0x38 }, (_, at) => 0x40 + at).filter((address) => address !== 0x70)

/** Sixteen PWM outputs or hobby servos at an NXP PCA9685. Source: its data sheet, see `pca9685-chip.ts`. */
export const pca9685 = defineDevice({
  kind: 'pca9685',
  description: 'A PCA9685: 16 PWM outputs or servos on the I2C bus.',
  namespace: 'pwm',
  isOwnTwin: true,
  hasOutputs: true,
  retryMs: OUTPUT_RETRY_MS,
  options: {
    bus: i2cBus,
    chipAddress: chipAddress(ADDRESSES),
    frequency: number('Pulses a second: 50 for servos, 200 and more for light.', 50, {
      min: 24,
      max: 1526,
      unit: 'Hz',
    }),
    oscillator: number('What the chip takes for 25 MHz, where it was measured.', 25, { min: 20, max: 30, unit: 'MHz' }),
    drive: choice('How the outputs drive their levels.', 'push-pull', ['push-pull', 'open-drain']),
    activeLow: flag('A low level means on.', false),
    channels: table('What hangs on the channels; others are off.', channelColumns),
  },
  outputs: ({ channels }) => Object.fromEntries(channels.map((row) => [row.name, row])),
  signals: ({ channels }) => Object.assign({}, ...channels.map(channelSignals)),
  check({ channels, frequency, oscillator }) {
    const periodUs = stepUs(frequency, oscillator) * STEPS
    const conflict = channels.map((row) => channelConflict(row, periodUs)).find((problem) => problem !== undefined)
    return conflict ?? nameProblem(channels.map(({ name, channel }) => ({ name, place: `channel ${channel}` })))
  },
  async open(context) {
    const { options, clock, problem, name, lost } = context
    const rows: readonly ChannelRow[] = options.channels
    const wanted = new Array<number>(CHANNELS).fill(0)
    for (const row of rows) wanted[row.channel] = safeCount(row)
    const written = [...wanted]
    const bus = await context.i2c.open(options.bus, (error) => lost(error))
    const chip = new Pca9685(new I2cChip(bus, options.chipAddress, clock, context.signal), {
      prescale: prescale(options.frequency, options.oscillator * MHZ),
      isInverted: options.activeLow,
      isOpenDrain: options.drive === 'open-drain',
    })
    const channels = rows.map(
      (row) =>
        new Channel(row, {
          context,
          stepUs: stepUs(options.frequency, options.oscillator),
          put: (count) => {
            wanted[row.channel] = count
            upkeep.write()
          },
        }),
    )
    const upkeep = new ChipUpkeep({
      clock,
      onFailure: lost,
      async write() {
        for (let first = 0; first < CHANNELS; first++) {
          let end = first
          while (end < CHANNELS && wanted[end] !== written[end]) end++
          if (end === first) continue
          const counts = wanted.slice(first, end)
          await chip.write(first, counts)
          written.splice(first, counts.length, ...counts)
          first = end
        }
      },
      async look() {
        if (await chip.isIntact()) return CHECK_MS
        problem('reset', `${name}: the chip had forgotten its set-up, as after a loss of its supply: look at its wires`)
        for (const channel of channels) channel.safe(false)
        const counts = [...wanted]
        await chip.setUp(counts)
        written.splice(0, CHANNELS, ...counts)
        return CHECK_MS
      },
    })
    try {
      const guard = await bus.guard(options.chipAddress, chip.writesFor(wanted), () => {
        for (const channel of channels) channel.fallSafe()
      })
      try {
        await chip.setUp(wanted)
      } catch (error) {
        await guard.close()
        throw error
      }
      upkeep.lookIn(CHECK_MS)
      for (const channel of channels) channel.begin()
      return {
        write: Object.assign({}, ...channels.map(({ writes }) => writes)),
        async safe(reason, keepsWish, output) {
          for (const [at, row] of rows.entries()) {
            if (output === undefined || output === row.name) channels[at].safe(keepsParam(row, reason, keepsWish))
          }
          await upkeep.settled()
        },
        async close() {
          // Its params are what clients want it to be when it is back.
          for (const channel of channels) channel.safe(true)
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

/** Length of one of the 4096 steps that the chip makes of a period, µs. */
function stepUs(hz: number, oscillatorMhz: number): number {
  return (prescale(hz, oscillatorMhz * MHZ) + 1) / oscillatorMhz
}
