import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { defineDevice } from '../device.ts'
import { requiredText, table } from '../options.ts'
import {
  type ChannelRow,
  channelColumns,
  channelSignal,
  channelValue,
  keyOf,
  plainRow,
  rowsProblem,
} from './channel-rows.ts'
import { iioChannels, iioConversion, readIioChannel } from './iio-channel.ts'
import { listDevices, pickDevice } from './sysfs-devices.ts'
import { SysfsError } from './sysfs-file.ts'

const WEATHER = [plainRow('temp', 'temperature'), plainRow('pressure', 'pressure')]
const MOIST = plainRow('humidityrelative', 'humidity')
const inputs = (count: number) => Array.from({ length: count }, (_, at) => plainRow(`voltage${at}`, `voltage${at}`))

/** All channels of usual chips, which need not be listed. Source: their drivers below drivers/iio of Linux. */
const KNOWN: Readonly<Record<string, readonly ChannelRow[]>> = {
  bmp085: WEATHER,
  bmp180: WEATHER,
  bmp280: WEATHER,
  bme280: [...WEATHER, MOIST],
  dht11: [plainRow('temp', 'temperature'), MOIST],
  bh1750: [plainRow('illuminance', 'illuminance')],
  tsl2591: [plainRow('illuminance', 'illuminance')],
  ads1015: inputs(4),
  mcp3004: inputs(4),
  mcp3008: inputs(8),
}

/**
 * A sensor or converter of which the kernel has the driver (Industrial I/O), converted to the units that clients see.
 * Source: Documentation/ABI/testing/sysfs-bus-iio of Linux; bridges.md §20.2.
 */
export const iio = defineDevice({
  kind: 'iio',
  description: 'A sensor or converter that the kernel reads (Industrial I/O).',
  namespace: 'iio',
  options: {
    device: requiredText('Its name (bme280), label, place on its bus (1-0076) or number (iio:device0).'),
    channels: table(
      `What is read. May be left out for ${Object.keys(KNOWN).join(', ')}.`,
      channelColumns('Name of a file without in_ and _raw or _input, such as temp, voltage0 or accel_x.'),
    ),
  },
  sampleMs: 5000,
  retryMs: 10_000,
  check: ({ device, channels }) =>
    channels.length === 0 && KNOWN[device] === undefined
      ? `channels of "${device}" are not known: list them under channels`
      : rowsProblem(channels),
  signals: (options) =>
    Object.fromEntries(rowsOf(options).map((row) => [keyOf(row), channelSignal(row, iioConversion(row.channel)[0])])),
  async open({ options, sysfs, lost }) {
    const devices = await listDevices(join(sysfs, 'bus/iio/devices'), 'iio:device')
    const { folder } = pickDevice(devices, options.device, 'IIO device', 'load its driver, by an overlay of the board')
    const channels = iioChannels(folder, await readdir(folder))
    const sources = rowsOf(options).map((row) => {
      const channel = channels.find(({ name }) => name === row.channel)
      if (channel !== undefined) return { row, channel }
      const there = channels.map(({ name }) => name).join(', ') || 'none'
      throw new Error(`${options.device} has no channel ${row.channel}: there are ${there}`)
    })
    return {
      async read() {
        const readings = []
        try {
          // One after the other: they are in the same chip.
          for (const { row, channel } of sources) {
            const [quantity, factor] = iioConversion(channel.name)
            const reading = await readIioChannel(channel)
            readings.push([keyOf(row), channelValue(row, quantity, reading, factor)] as const)
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

function rowsOf({ device, channels }: { device: string; channels: readonly ChannelRow[] }): readonly ChannelRow[] {
  return channels.length > 0 ? channels : (KNOWN[device] ?? [])
}
