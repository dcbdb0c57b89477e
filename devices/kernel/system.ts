import { readdir, statfs } from 'node:fs/promises'
import { availableParallelism, freemem, loadavg, totalmem, uptime } from 'node:os'
import { join } from 'node:path'
import { boolParam, defineDevice, type SignalSpec } from '../device.ts'
import { type OptionSpec, text } from '../options.ts'
import { readNumber, readOptional } from './sysfs-file.ts'

const folder: OptionSpec<string> = { ...text('Folder whose file system counts for disk_free.'), fallback: '/' }
const HEARTBEAT_MS = 60_000

/** A quantity of which small changes say nothing. */
function quantity(description: string, unit: string, max: number, deadband: Partial<SignalSpec['pace']>): SignalSpec {
  const pace = { heartbeatMs: HEARTBEAT_MS, ...deadband }
  return { type: 'param', datatype: 'f64', access: 'r', unit, range: [0, max], description, pace }
}

/**
 * How the machine is that this runs on. Sources: Documentation/driver-api/thermal/sysfs-api.rst of Linux for temp (m°C);
 * drivers/hwmon/raspberrypi-hwmon.c for in0_lcrit_alarm, which is 1 when the supply of a Raspberry Pi was too low since it
 * was read before; bridges.md §20.2.
 */
export const system = defineDevice({
  kind: 'system',
  description: 'The machine itself: temperature, load, free memory and disk space, uptime, under-voltage.',
  namespace: 'sys',
  options: { folder },
  sampleMs: 5000,
  // There is one in every machine.
  isOwnTwin: true,
  signals: () => ({
    cpu_temp: {
      ...quantity('Processor temperature', 'Cel', 125, { deadband: 0.5 }),
      range: [-40, 125],
    },
    load: quantity('Processes that run or want to, mean of a minute, for each core', '1', 100, { deadband: 0.05 }),
    mem_free: quantity('Memory that programs can have, as a share', '%', 100, { deadband: 1 }),
    disk_free: quantity('Space that is left, as a share', '%', 100, { deadband: 0.5 }),
    uptime: quantity('Since the machine was started', 's', 1e10, { deadband: HEARTBEAT_MS / 1000 }),
    undervoltage: {
      ...boolParam('r', 'The supply is too low; only where the kernel notices'),
      pace: { heartbeatMs: HEARTBEAT_MS },
    },
  }),
  async open({ options, sysfs }) {
    const [zone, supply] = await Promise.all([processorZone(sysfs), supplyMonitor(sysfs)])
    return {
      async read() {
        const [temperature, disk, alarm] = await Promise.all([
          zone === undefined ? undefined : readNumber(join(zone, 'temp')),
          statfs(options.folder),
          supply === undefined ? undefined : readNumber(join(supply, 'in0_lcrit_alarm')),
        ])
        return {
          load: rounded(loadavg()[0] / availableParallelism()),
          mem_free: rounded((100 * freemem()) / totalmem()),
          disk_free: rounded((100 * disk.bavail) / Math.max(1, disk.blocks)),
          uptime: Math.floor(uptime()),
          ...(temperature !== undefined && { cpu_temp: temperature / 1000 }),
          ...(alarm !== undefined && { undervoltage: alarm !== 0 }),
        }
      },
      close: () => {},
    }
  },
})

/** The zone of the processor, by the words that drivers use for it; else the first one. Undefined: there is none. */
async function processorZone(sysfs: string): Promise<string | undefined> {
  const root = join(sysfs, 'class/thermal')
  const names = (await readdir(root).catch(() => [])).filter((name) => name.startsWith('thermal_zone')).sort()
  const types = await Promise.all(names.map((name) => readOptional(join(root, name, 'type'))))
  const at = types.findIndex((type) => type !== undefined && /cpu|soc|x86_pkg/.test(type))
  const found = names[Math.max(0, at)]
  return found === undefined ? undefined : join(root, found)
}

async function supplyMonitor(sysfs: string): Promise<string | undefined> {
  const root = join(sysfs, 'class/hwmon')
  for (const name of await readdir(root).catch(() => [])) {
    if ((await readOptional(join(root, name, 'name'))) === 'rpi_volt') return join(root, name)
  }
  return undefined
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
