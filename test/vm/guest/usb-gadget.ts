import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

const GADGETS = '/sys/kernel/config/usb_gadget'
const CONTROLLERS = '/sys/class/udc'
const ENGLISH = '0x409'

/**
 * A serial device at the one simulated USB port of this machine: `far` is its end, and the kernel makes a port like
 * /dev/ttyACM0 of the other one. It is unplugged after the test; to remove it would wait for whoever has `far` open.
 * Source: Documentation/usb/gadget_configfs.rst of the kernel.
 */
export class UsbSerialGadget {
  /** For the configuration of the router. */
  readonly selector: string
  readonly far: string
  private readonly folder: string

  /** `name`: its serial number, unique among tests. */
  constructor(t: TestContext, name: string) {
    this.selector = `usb:1209:0001:${name}`
    this.folder = join(GADGETS, name)
    const settings = join(this.folder, 'configs', 'c.1')
    const port = join(this.folder, 'functions', 'acm.usb0')
    const texts = join(this.folder, 'strings', ENGLISH)
    for (const folder of [this.folder, settings, port, texts]) mkdirSync(folder, { recursive: true })
    // A pair of numbers that is set aside for tests.
    writeFileSync(join(this.folder, 'idVendor'), '0x1209')
    writeFileSync(join(this.folder, 'idProduct'), '0x0001')
    writeFileSync(join(texts, 'serialnumber'), name)
    symlinkSync(port, join(settings, 'acm.usb0'))
    this.far = `/dev/ttyGS${readFileSync(join(port, 'port_num'), 'latin1').trim()}`
    this.plug()
    t.after(() => this.unplug())
  }

  plug(): void {
    const [controller] = readdirSync(CONTROLLERS)
    writeFileSync(join(this.folder, 'UDC'), controller)
  }

  unplug(): void {
    if (readFileSync(join(this.folder, 'UDC'), 'latin1').trim() !== '') writeFileSync(join(this.folder, 'UDC'), '\n')
  }
}
