import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { defineDevice } from '../device.ts'
import { choice, requiredText, table } from '../options.ts'
import {
  type ChannelRow,
  channelColumns,
  channelSignal,
  channelValue,
  keyOf,
  plainRow,
  rowsProblem,
} from './channel-rows.ts'
import { type Quantity, quantities } from './quantity.ts'
import { listDevices, pickDevice } from './sysfs-devices.ts'
import { readNumber, readOptional, SysfsError } from './sysfs-file.ts'

const MILLI = 0.001
const MICRO = 0.000_001

/**
 * The kernel's units by the first letters of a channel: temp in m°C, humidity in m%, in in mV, curr in mA, power in µW,
 * energy in µJ, fan in revolutions a minute, freq in Hz. Source: Documentation/hwmon/sysfs-interface.rst of Linux.
 */
const PREFIXES = {
  temp: { quantity: quantities.temperature, factor: MILLI },
  humidity: { quantity: quantities.humidity, factor: MILLI },
  in: { quantity: quantities.voltage, factor: MILLI },
  curr: { quantity: quantities.current, factor: MILLI },
  power: { quantity: quantities.power, factor: MICRO },
  energy: { quantity: quantities.energy, factor: MICRO },
  fan: { quantity: quantities.fan, factor: 1 },
  freq: { quantity: quantities.frequency, factor: 1 },
} as const satisfies Record<string, { quantity: Quantity; factor: number }>

type Prefix = keyof typeof PREFIXES
const PREFIX_NAMES = Object.keys(PREFIXES) as Prefix[]
const ALARM = { quantity: quantities.alarm, factor: 1 }
const NUMBERED = /^([a-z]+)\d+(_[a-z_]*(?:alarm|fault))?$/

type Row = ChannelRow & { readonly of: Prefix }

/** What most chips have. */
const USUAL: readonly Row[] = [{ ...plainRow('temp1', 'temperature'), of: 'temp' }]

/**
 * A monitoring chip of which the kernel has the driver: processor and board temperatures, supplies, fans.
 * Source: Documentation/hwmon/sysfs-interface.rst of Linux; bridges.md §20.2.
 */
export const hwmon = defineDevice({
  kind: 'hwmon',
  description: 'A monitoring chip that the kernel reads (hwmon): temperatures, supplies, fans.',
  namespace: 'hwmon',
  options: {
    chip: requiredText('Its name (cpu_thermal), place on its bus (1-0044) or number (hwmon0).'),
    channels: table('What is read. Left out: temp1, as temperature.', {
      ...channelColumns('Such as temp1, in0, curr1, power1, fan1, in0_lcrit_alarm; or a label, such as Core 0.'),
      of: choice('What a label stands for.', 'temp', PREFIX_NAMES),
    }),
  },
  sampleMs: 5000,
  retryMs: 10_000,
  check: ({ channels }) => rowsProblem(channels),
  signals: (options) =>
    Object.fromEntries(rowsOf(options).map((row) => [keyOf(row), channelSignal(row, measuredBy(row).quantity)])),
  async open({ options, sysfs, lost }) {
    const chips = await listDevices(join(sysfs, 'class/hwmon'), 'hwmon')
    const { folder } = pickDevice(
      chips,
      options.chip,
      'monitoring chip',
      'load its driver, with modprobe or an overlay',
    )
    const channels = await listChannels(folder)
    const sources = rowsOf(options).map((row) => {
      const found = channels.find(({ label, name }) => label === row.channel || name === row.channel)
      if (found !== undefined) return { row, file: found.file }
      const there = channels.map(({ name, label }) => (label === undefined ? name : `${name} (${label})`)).join(', ')
      throw new Error(`${options.chip} has no channel ${row.channel}: there are ${there || 'none'}`)
    })
    return {
      async read() {
        const readings = []
        try {
          for (const { row, file } of sources) {
            const { quantity, factor } = measuredBy(row)
            readings.push([keyOf(row), channelValue(row, quantity, await readNumber(file), factor)] as const)
          }
        } catch (error) {
          if (error instanceof SysfsError && error.isGone) lost(error)
          throw error
        }
        return Object.fromEntries(readings)
      },
      close() {},
    }
  },
})

function rowsOf({ channels }: { channels: readonly Row[] }): readonly Row[] {
  return channels.length > 0 ? channels : USUAL
}

function measuredBy({ channel, of }: Row): { quantity: Quantity; factor: number } {
  const [, prefix, alarm] = NUMBERED.exec(channel) ?? []
  if (alarm !== undefined) return ALARM
  return PREFIXES[PREFIX_NAMES.find((name) => name === prefix) ?? of]
}

interface Channel {
  readonly name: string
  readonly label: string | undefined
  readonly file: string
}

/** What can be read of a chip: temp1 of temp1_input or temp1_average, and alarms as their files are called. */
async function listChannels(folder: string): Promise<Channel[]> {
  const files = (await readdir(folder)).sort()
  const names = new Map<string, string>()
  for (const file of files) {
    const [, name] = /^([a-z]+\d+)_(?:input|average)$/.exec(file) ?? []
    if (name !== undefined && !file.endsWith('_average')) names.set(name, file)
    else if (name !== undefined && !files.includes(`${name}_input`)) names.set(name, file)
    else if (NUMBERED.test(file) && file.includes('_')) names.set(file, file)
  }
  return Promise.all(
    [...names].map(async ([name, file]) => ({
      name,
      label: await readOptional(join(folder, `${name}_label`)),
      file: join(folder, file),
    })),
  )
}
