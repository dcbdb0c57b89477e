import { hexAddress, type I2cBus, type I2cBuses, I2cError, type I2cGuard } from './bus.ts'

/** A chip that exists in software. Both may throw an I2cError. */
export interface SimulatedChip {
  /** The bytes of one write, after the address. */
  write(bytes: Uint8Array): void
  read(count: number): Uint8Array
}

/** What most chips are: up to 256 registers of one byte with a pointer that moves on. */
export class RegisterChip implements SimulatedChip {
  readonly registers = new Uint8Array(256)
  private at = 0

  write(bytes: Uint8Array): void {
    if (bytes.length > 0) this.at = bytes[0]
    for (const byte of bytes.subarray(1)) {
      this.registers[this.at] = byte
      this.at = (this.at + 1) & 0xff
    }
  }

  read(count: number): Uint8Array {
    const bytes = new Uint8Array(count)
    for (let i = 0; i < count; i++) bytes[i] = this.registers[(this.at + i) & 0xff]
    this.at = (this.at + count) & 0xff
    return bytes
  }
}

/**
 * Buses that exist in software. Chips that nobody attached are absent, or registers that keep what is written when
 * `isFilled`.
 */
export class SimulatedI2c implements I2cBuses {
  private readonly isFilled: boolean
  private readonly chips = new Map<string, SimulatedChip>()
  private readonly users = new Map<string, Set<(error: I2cError) => void>>()
  private readonly guards = new Map<string, { writes: readonly Uint8Array[]; onForced(): void }>()
  private readonly faults = new Map<string, I2cError>()
  /** Transactions so far, of all buses. */
  transfers = 0

  constructor({ isFilled = false }: { isFilled?: boolean } = {}) {
    this.isFilled = isFilled
  }

  attach(bus: string, address: number, chip: SimulatedChip): void {
    this.chips.set(`${bus}:${address}`, chip)
  }

  /** Unplugs a chip. */
  detach(bus: string, address: number): void {
    this.chips.delete(`${bus}:${address}`)
  }

  /** From now on all transactions of a bus fail; undefined: they work again. */
  setFault(bus: string, error: I2cError | undefined): void {
    if (error === undefined) this.faults.delete(bus)
    else this.faults.set(bus, error)
  }

  /** The process of the bus ends. */
  lose(bus: string): void {
    const users = [...(this.users.get(bus) ?? [])]
    this.users.delete(bus)
    const error = new I2cError('lost', `the simulated I2C bus ${bus} has gone`)
    for (const onLost of users) onLost(error)
  }

  /** What happens when the router hangs: all guarded outputs become safe. */
  force(): void {
    for (const [place, { writes, onForced }] of this.guards) {
      const chip = this.chips.get(place)
      for (const bytes of writes) chip?.write(bytes)
      onForced()
    }
  }

  async open(bus: string, onLost: (error: I2cError) => void): Promise<I2cBus> {
    const users = this.users.get(bus) ?? new Set()
    this.users.set(bus, users.add(onLost))
    return {
      name: bus,
      transfer: async (address, bytes, readBytes) => {
        if (!users.has(onLost)) throw new I2cError('lost', `the I2C bus ${bus} is closed`)
        return this.transfer(bus, address, bytes, readBytes)
      },
      guard: async (address, writes, onForced) => this.guard(`${bus}:${address}`, writes, onForced),
      scan: async () => this.scan(bus),
      close: async () => {
        users.delete(onLost)
      },
    }
  }

  private transfer(bus: string, address: number, bytes: Uint8Array, readBytes: number): Uint8Array {
    this.transfers++
    const fault = this.faults.get(bus)
    if (fault !== undefined) throw fault
    const place = `${bus}:${address}`
    let chip = this.chips.get(place)
    if (chip === undefined && this.isFilled) {
      chip = new RegisterChip()
      this.chips.set(place, chip)
    }
    if (chip === undefined) {
      throw new I2cError('absent', `no chip answers at ${hexAddress(address)} of the I2C bus ${bus}: check its wires`)
    }
    if (bytes.length > 0 || readBytes === 0) chip.write(bytes)
    return readBytes > 0 ? chip.read(readBytes) : new Uint8Array(0)
  }

  private guard(place: string, writes: readonly Uint8Array[], onForced: () => void): I2cGuard {
    this.guards.set(place, { writes, onForced })
    return {
      change: (changed) => this.guards.set(place, { writes: changed, onForced }),
      close: async () => {
        this.guards.delete(place)
      },
    }
  }

  private scan(bus: string): number[] {
    const fault = this.faults.get(bus)
    if (fault !== undefined) throw fault
    const places = [...this.chips.keys()].filter((place) => place.startsWith(`${bus}:`))
    return places.map((place) => Number(place.slice(bus.length + 1))).sort((a, b) => a - b)
  }
}
