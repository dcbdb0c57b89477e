import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

const CONFIGFS = '/sys/kernel/config/gpio-sim'

/**
 * A GPIO chip of the kernel's simulator, with one named line for each name; it goes with the test. Names are to be unique
 * among tests, which run at the same time. Source: Documentation/admin-guide/gpio/gpio-sim.rst of the kernel.
 */
export class SimulatedChip {
  private readonly folder: string
  private readonly bank: string
  private readonly names: readonly string[]

  constructor(t: TestContext, names: readonly string[]) {
    this.names = names
    this.folder = join(CONFIGFS, names[0])
    this.bank = join(this.folder, 'bank')
    mkdirSync(this.bank, { recursive: true })
    writeFileSync(join(this.bank, 'label'), names[0])
    writeFileSync(join(this.bank, 'num_lines'), String(names.length))
    for (const [offset, name] of names.entries()) {
      mkdirSync(this.line(offset))
      writeFileSync(join(this.line(offset), 'name'), name)
    }
    this.plug()
    t.after(() => this.destroy())
  }

  /** `gpiochipN`, of which N may be another one after each `plug`. */
  get chip(): string {
    return read(join(this.bank, 'chip_name'))
  }

  plug(): void {
    writeFileSync(join(this.folder, 'live'), '1')
  }

  unplug(): void {
    writeFileSync(join(this.folder, 'live'), '0')
  }

  /** The level that an input takes. */
  pull(name: string, isHigh: boolean): void {
    writeFileSync(this.pullFile(name), isHigh ? 'pull-up' : 'pull-down')
  }

  /** For whoever pulls often. */
  pullFile(name: string): string {
    return join(this.control(name), 'pull')
  }

  /** Of an output, or of an input, as a meter would show it. */
  level(name: string): boolean {
    return read(join(this.control(name), 'value')) === '1'
  }

  levels(): string {
    return this.names.map((name) => (this.level(name) ? '1' : '0')).join('')
  }

  private control(name: string): string {
    const device = read(join(this.folder, 'dev_name'))
    return join('/sys/devices/platform', device, this.chip, `sim_gpio${this.names.indexOf(name)}`)
  }

  private line(offset: number): string {
    return join(this.bank, `line${offset}`)
  }

  private destroy(): void {
    if (read(join(this.folder, 'live')) === '1') this.unplug()
    for (const offset of this.names.keys()) rmdirSync(this.line(offset))
    rmdirSync(this.bank)
    rmdirSync(this.folder)
  }
}

function read(path: string): string {
  return readFileSync(path, 'latin1').trim()
}
