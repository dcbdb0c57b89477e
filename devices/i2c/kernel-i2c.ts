import { type I2cBus, type I2cBuses, I2cError } from './bus.ts'
import { busPlace } from './bus-place.ts'
import { SharedBus, type SharedBusOptions } from './shared-bus.ts'

/** The buses of the kernel, each by a process of its own (clasp-i2c) that runs while somebody uses the bus. */
export class KernelI2c implements I2cBuses {
  private readonly options: SharedBusOptions
  /** By path. */
  private readonly buses = new Map<string, SharedBus>()
  private isStopped = false

  constructor(options: SharedBusOptions) {
    this.options = options
  }

  async open(bus: string, onLost: (error: I2cError) => void): Promise<I2cBus> {
    const place = await busPlace(bus, this.options)
    if (this.isStopped) throw new I2cError('lost', 'the devices are being stopped')
    let shared = this.buses.get(place.path)
    if (shared === undefined) {
      shared = new SharedBus(place, this.options)
      this.buses.set(place.path, shared)
    }
    return shared.open(onLost)
  }

  /** Process number of a bus, by its path; undefined: it does not run. */
  pid(path: string): number | undefined {
    return this.buses.get(path)?.pid
  }

  /** What is still guarded is written. */
  async stop(): Promise<void> {
    this.isStopped = true
    await Promise.all([...this.buses.values()].map((bus) => bus.stop()))
  }
}
