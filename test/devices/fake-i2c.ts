import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ensureI2cBus } from '../../.scripts/native.mjs'
import { hexAddress } from '../../devices/i2c/bus.ts'

/** Path of the clasp-i2c of which the buses are folders. */
export function fakeI2cProgram(): string {
  const native = ensureI2cBus('.', true)
  if (native.path === undefined) throw new Error(native.reason)
  return native.path
}

/** An I2C bus that is a folder; see devices/i2c/c/bus_fake.c. It goes with the test. */
export class FakeI2c {
  /** Stands for /dev. */
  readonly dev: string
  readonly path: string

  constructor(t: TestContext, { dev, name = 'i2c-1' }: { dev?: string; name?: string } = {}) {
    this.dev = dev ?? mkdtempSync(join(tmpdir(), 'clasp-i2c-'))
    if (dev === undefined) t.after(() => rmSync(this.dev, { recursive: true, force: true }))
    this.path = join(this.dev, name)
    mkdirSync(this.path, { recursive: true })
    this.put('log', '')
  }

  /** A chip of 256 registers, by its address. */
  attach(address: number, registers: Readonly<Record<number, number>> = {}): void {
    const bytes = Buffer.alloc(256)
    for (const [register, value] of Object.entries(registers)) bytes[Number(register)] = value
    this.put(hexAddress(address), bytes)
  }

  register(address: number, register: number): number {
    return readFileSync(join(this.path, hexAddress(address)))[register]
  }

  /** `stuck`, `hangs`, `again`, `functions`, `0x76.taken`. */
  put(name: string, content: string | Buffer = ''): void {
    writeFileSync(join(this.path, name), content)
  }

  remove(name: string): void {
    rmSync(join(this.path, name))
  }

  /** Transactions since the last call. */
  takeLog(): string[] {
    const lines = readFileSync(join(this.path, 'log'), 'latin1').split('\n').slice(0, -1)
    this.put('log', '')
    return lines
  }
}
