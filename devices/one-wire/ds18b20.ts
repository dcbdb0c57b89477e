import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defineDevice } from '../device.ts'
import { SysfsError } from '../kernel/sysfs-file.ts'
import { optional, text, whole } from '../options.ts'
import type { OneWireBuses, OneWireSensor } from './buses.ts'
import { hasDriver, isPowerOnValue, RANGE_C } from './thermometer.ts'

/** DS18S20, DS1822, DS18B20, DS1825 and DS28EA00. */
const FAMILIES = ['10', '22', '28', '3b', '42']
const NO_BUS = 'switch it on, on a Raspberry Pi with dtoverlay=w1-gpio in config.txt, and start again'

/**
 * A thermometer on a 1-Wire bus of the kernel (w1-gpio and w1-therm): DS18B20 and its relatives. A conversion takes 94 ms
 * at 9 bits, 750 ms at 12. Source: data sheet of the DS18B20 (Maxim 19-7487, rev. 6), table 2 and "Operation—measuring
 * temperature"; bridges.md §20.5 and §20.7.
 */
export const ds18b20 = defineDevice({
  kind: 'ds18b20',
  description: 'A 1-Wire thermometer: DS18B20, DS18S20, DS1822, DS1825, DS28EA00.',
  namespace: 'w1',
  options: {
    id: text('Family and serial number, such as 28-0316a2795e2f; may be left out where there is just one thermometer.'),
    resolution: optional(
      whole('Of its readings: fewer are faster. Left out: as the sensor was set.', 12, {
        min: 9,
        max: 12,
        unit: 'bit',
      }),
    ),
  },
  sampleMs: 5000,
  retryMs: 10_000,
  signals: () => ({
    temperature: {
      type: 'param',
      datatype: 'f64',
      access: 'r',
      unit: 'Cel',
      range: RANGE_C,
      description: 'Temperature',
      pace: { deadband: 0.1, heartbeatMs: 60_000 },
    },
  }),
  async open({ options, oneWire, lost, problem }) {
    const sensor = await findSensor(oneWire, options.id)
    const { id, folder, bus } = sensor
    if (!(await hasDriver(folder))) {
      throw new Error(`the kernel cannot read ${id}: run "sudo modprobe w1-therm", and list w1-therm in /etc/modules`)
    }
    let last: number | undefined
    /** A sensor that was without power has forgotten its resolution. */
    let isSetUp = false
    const setUp = async () => {
      isSetUp = true
      const refused = options.resolution === undefined ? undefined : await setResolution(sensor, options.resolution)
      if (refused !== undefined) problem('resolution', refused)
    }
    bus.join()
    return {
      async read() {
        if (!isSetUp) await setUp()
        try {
          const celsius = await bus.celsius(folder)
          if (isPowerOnValue(celsius, last)) {
            throw new SysfsError(`${id} says 85 °C, as after it was without power: check its supply and wires`, false)
          }
          last = celsius
          return { temperature: celsius }
        } catch (error) {
          isSetUp = false
          last = undefined
          if (error instanceof SysfsError && error.isGone) lost(new Error(`${id} is not on its bus any more`))
          throw error
        }
      },
      close: () => bus.leave(),
    }
  },
})

async function findSensor(buses: OneWireBuses, wanted: string | undefined): Promise<OneWireSensor> {
  const all = await buses.list()
  if (all === undefined) throw new Error(`this machine has no 1-Wire bus: ${NO_BUS}`)
  const found = all.filter((id) => FAMILIES.includes(id.slice(0, 2)))
  const there = found.length === 0 ? 'there is none: check its wires and the pull-up' : `there are ${found.join(', ')}`
  const id = wanted?.toLowerCase() ?? (found.length === 1 ? found[0] : undefined)
  if (id === undefined && found.length > 1) throw new Error(`${there}: set id to one of them`)
  if (id !== undefined && found.includes(id)) return buses.sensor(id)
  if (id !== undefined && all.includes(id)) throw new Error(`${id} is no thermometer: ${there}`)
  throw new Error(`there is no 1-Wire thermometer${id === undefined ? '' : ` ${id}`}: ${there}`)
}

/** What to tell the operator when it cannot be set. */
async function setResolution({ id, folder, bus }: OneWireSensor, bits: number): Promise<string | undefined> {
  // Family 10 has 9 bits and nothing to set.
  if (id.startsWith('10')) return `${id} is a DS18S20, which has one resolution only: leave resolution out`
  const path = join(folder, 'resolution')
  try {
    await bus.inTurn(() => writeFile(path, `${bits}\n`, { flag: 'r+' }))
    return undefined
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // No answer: the reading that follows says so.
    if (code === 'EIO') return undefined
    const denied = code === 'EACCES' || code === 'EPERM'
    const remedy = denied ? `let the group of this process write ${path} by a udev rule` : 'leave resolution out'
    return `the resolution of ${id} stays as it is (${code ?? message}): ${remedy}`
  }
}
