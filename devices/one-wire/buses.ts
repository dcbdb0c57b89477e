import { readdir, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DeviceClock } from '../device.ts'
import { OneWireBus } from './bus.ts'

/** A sensor that is there. */
export interface OneWireSensor {
  /** `28-0316a2795e2f`: family and serial number. */
  readonly id: string
  /** Its folder, for attributes. */
  readonly folder: string
  readonly bus: OneWireBus
}

/** The 1-Wire buses of the kernel, which all devices share. Source: Documentation/w1/w1-generic.rst of Linux. */
export class OneWireBuses {
  private readonly folder: string
  private readonly clock: DeviceClock
  /** By the folder of its master. */
  private readonly buses = new Map<string, OneWireBus>()

  constructor(sysfs: string, clock: DeviceClock) {
    this.folder = join(sysfs, 'bus/w1/devices')
    this.clock = clock
  }

  /** What the kernel has found, in order. Undefined: it knows no 1-Wire bus. */
  async list(): Promise<string[] | undefined> {
    const entries = await readdir(this.folder).catch(() => undefined)
    return entries?.filter((entry) => /^[\da-f]{2}-[\da-f]{12}$/.test(entry)).sort()
  }

  /** Rejects with ENOENT when it has gone. */
  async sensor(id: string): Promise<OneWireSensor> {
    const folder = join(this.folder, id)
    const master = dirname(await realpath(folder))
    const bus = this.buses.get(master) ?? new OneWireBus(master, this.clock)
    this.buses.set(master, bus)
    return { id, folder, bus }
  }
}
