import { I2cError } from '../../../devices/i2c/bus.ts'
import { busPlace } from '../../../devices/i2c/bus-place.ts'
import { recoverBus } from '../../../devices/i2c/bus-recovery.ts'
import { LineHolder } from '../../../devices/io/line-holder.ts'
import { boardPins } from '../../devices/board-pins.ts'
import { systemClock } from '../../router/clock.ts'
import { CommandError, defineCommand } from '../command.ts'
import { ownProgram, thisMachine, withBus } from '../i2c-machine.ts'

export const i2cRecover = defineCommand({
  usage: 'BUS',
  args: [1, 1],
  details:
    'Frees an I2C bus that a chip holds down, which happens when the board is reset while the chip sends: gives it the\n' +
    'clock pulses that it waits for. For that the driver of the controller is unbound and bound again, which needs root;\n' +
    'nobody may have the bus open, so stop the router before. Does nothing when the bus is not stuck.',
  options: {},
  examples: [['i2c recover 1', 'all chips of the bus 1 time out: free it']],
  async run({ args: [name], terminal }) {
    const machine = await thisMachine()
    if (!(await isStuck(name))) {
      terminal.line(`the I2C bus ${name} is not stuck: nothing was done`)
      return 0
    }
    const watch = { clock: systemClock, watchdogMs: 1000, lingerMs: 0 }
    const pins = machine.board === undefined ? [] : await boardPins(machine.board)
    const lines = new LineHolder({ program: await ownProgram('clasp-io'), ...watch, pins })
    try {
      const { isFree, text } = await recoverBus(await busPlace(name, machine), {
        ...machine,
        clock: systemClock,
        lines,
      })
      if (!isFree) throw new CommandError(text)
      terminal.line(text)
      return 0
    } finally {
      await lines.stop()
    }

    async function isStuck(bus: string): Promise<boolean> {
      try {
        await withBus(bus, machine, (open) => open.scan())
        return false
      } catch (error) {
        if (error instanceof I2cError) return true
        throw error
      }
    }
  },
})
