import { constants } from 'node:os'
import { busStates } from '../../../boards/bus-states.ts'
import { I2cError } from '../../../devices/i2c/bus.ts'
import { busNumbers, busPlace, kernelDrivers, type Machine } from '../../../devices/i2c/bus-place.ts'
import { explainOpenFailure } from '../../../devices/i2c/i2c-failure.ts'
import { CommandError, defineCommand, UsageError } from '../command.ts'
import { thisMachine, withBus } from '../i2c-machine.ts'
import { scanChips, scanLines } from '../i2c-scan-page.ts'
import { jsonLine } from '../json-line.ts'

export const i2cScan = defineCommand({
  usage: '[BUS]',
  args: [0, 1],
  details:
    'Finds the chips on an I2C bus, names them as far as they can be told apart, and says what to put into the\n' +
    'configuration. BUS: its number or path. Default: the bus of the header, or the only one. Every address is\n' +
    'addressed once without data; chips that tell what they are get the number of that register written and are read.\n' +
    'A running router goes on working. Buses of displays and memories of a PC are better left alone.',
  options: {
    passive: { type: 'boolean', help: 'Only find addresses; ask no chip what it is.' },
    json: { type: 'boolean', help: 'One object a chip.' },
  },
  examples: [
    ['i2c scan', 'what is wired to the header?'],
    ['i2c scan 1 --passive', 'which addresses answer, without writing to any chip?'],
  ],
  async run({ values, args, terminal }) {
    const machine = await thisMachine()
    for (const name of args.length > 0 ? args : await usualBuses(machine)) {
      if (!/^(\d{1,3}|\/\S+)$/.test(name)) throw new UsageError(`"${name}" is no bus: expected a number, or a path`)
      const place = await busPlace(name, machine)
      const drivers = await kernelDrivers(place, machine)
      const chips = await withBus(name, machine, (bus) => scanChips(bus, drivers, !values.passive)).catch((error) => {
        throw error instanceof I2cError ? new CommandError(error.message) : error
      })
      if (values.json) for (const chip of chips) terminal.line(jsonLine({ bus: name, ...chip }))
      else for (const line of scanLines(terminal, place, chips)) terminal.line(line)
    }
    return 0
  },
})

/** Those of the board's header that are on, else the only one. Rejects where that is not clear. */
async function usualBuses(machine: Machine): Promise<string[]> {
  const { board } = machine
  const states = board === undefined ? [] : await busStates(board)
  const numbers = states
    .filter(({ bus }) => bus.kind === 'i2c')
    .flatMap(({ nodes }) => nodes.flatMap((node) => /^\/dev\/i2c-(\d+)$/.exec(node)?.[1] ?? []))
  if (numbers.length > 0) return numbers
  const all = (await busNumbers(machine)).map(String)
  if (all.length === 1) return all
  if (all.length > 1)
    throw new UsageError(`which bus? there is ${all.join(', ')}; "ls -l /sys/bus/i2c/devices" tells more`)
  const usual = await busPlace('1', machine)
  throw new CommandError((await explainOpenFailure(usual, constants.errno.ENOENT, machine)).message)
}
