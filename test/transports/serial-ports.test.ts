import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadSerialDriver } from '../../runtime/transports/serial-binding.ts'
import { SerialError } from '../../runtime/transports/serial-error.ts'
import { setLowLatency } from '../../runtime/transports/serial-latency.ts'
import { readLineErrors } from '../../runtime/transports/serial-line-errors.ts'
import { explainDenied } from '../../runtime/transports/serial-open-failure.ts'
import { listSerialPorts } from '../../runtime/transports/serial-ports.ts'
import { findSerialPort, matchPort, parsePortSelector } from '../../runtime/transports/serial-selector.ts'

/** The files and links of a machine, in a folder. */
class FakeMachine {
  readonly root: string

  constructor(t: TestContext) {
    this.root = mkdtempSync(join(tmpdir(), 'machine-'))
    t.after(() => rmSync(this.root, { recursive: true }))
  }

  file(path: string, text: string): void {
    const file = join(this.root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }

  /** Relative, as in sysfs and as udev makes them. */
  link(path: string, target: string): void {
    const link = join(this.root, path)
    mkdirSync(dirname(link), { recursive: true })
    mkdirSync(dirname(join(this.root, target)), { recursive: true })
    symlinkSync(relative(dirname(link), join(this.root, target)), link)
  }

  /** `device` is below /sys/devices, and the driver is its own unless it is a layer's. */
  port(name: string, device: string, driver: string, attributes: Record<string, string> = {}): void {
    const folder = `sys/devices/${device}`
    this.file(`${folder}/tty/${name}/uevent`, `DEVNAME=${name}\n`)
    for (const [key, value] of Object.entries(attributes)) this.file(`${folder}/tty/${name}/${key}`, `${value}\n`)
    this.link(`${folder}/tty/${name}/device`, folder)
    this.link(`sys/class/tty/${name}`, `${folder}/tty/${name}`)
    this.file(`sys/bus/drivers/${driver}/bind`, '')
    this.link(`${folder}/driver`, `sys/bus/drivers/${driver}`)
    this.file(`dev/${name}`, '')
  }

  usbDevice(device: string, attributes: Record<string, string>): void {
    for (const [key, value] of Object.entries(attributes)) this.file(`sys/devices/${device}/${key}`, `${value}\n`)
  }
}

/** An Arduino, an FTDI with two ports, two converters that tell no serial number, UARTs, consoles. */
function board(t: TestContext): FakeMachine {
  const machine = new FakeMachine(t)
  machine.usbDevice('usb1/1-1', {
    idVendor: '2341',
    idProduct: '0043',
    serial: '7573530313',
    manufacturer: 'Arduino (www.arduino.cc)',
  })
  machine.usbDevice('usb1/1-1/1-1:1.0', { bInterfaceNumber: '00' })
  machine.port('ttyACM0', 'usb1/1-1/1-1:1.0', 'cdc_acm')
  machine.usbDevice('usb1/1-2', { idVendor: '0403', idProduct: '6010', serial: 'FT1', product: 'Dual RS232' })
  machine.usbDevice('usb1/1-2/1-2:1.0', { bInterfaceNumber: '00' })
  machine.usbDevice('usb1/1-2/1-2:1.1', { bInterfaceNumber: '01' })
  machine.port('ttyUSB10', 'usb1/1-2/1-2:1.0/ttyUSB10', 'ftdi_sio')
  machine.port('ttyUSB2', 'usb1/1-2/1-2:1.1/ttyUSB2', 'ftdi_sio')
  for (const [socket, name] of [
    ['1-3', 'ttyUSB3'],
    ['1-4', 'ttyUSB4'],
  ]) {
    machine.usbDevice(`usb1/${socket}`, { idVendor: '1a86', idProduct: '7523', product: 'USB Serial' })
    machine.port(name, `usb1/${socket}/${socket}:1.0/${name}`, 'ch341-uart')
    machine.link(`dev/serial/by-path/platform-usb-${socket}`, `dev/${name}`)
  }
  machine.link('dev/serial/by-id/usb-Arduino_0043_7573530313-if00', 'dev/ttyACM0')
  machine.link('dev/arduino', 'dev/ttyACM0')
  machine.port('ttyAMA0', 'platform/soc/fe201000.serial/fe201000.serial:0/fe201000.serial:0.0', 'port', { type: '32' })
  machine.file('sys/bus/drivers/uart-pl011/bind', '')
  machine.link('sys/devices/platform/soc/fe201000.serial/driver', 'sys/bus/drivers/uart-pl011')
  machine.port('ttyS0', 'platform/serial8250', 'serial8250', { type: '4' })
  machine.port('ttyS1', 'platform/serial8250-1', 'serial8250', { type: '0' })
  for (const name of ['tty0', 'tty1', 'console', 'ptmx', 'ttyprintk', 'rfcomm0']) {
    machine.file(`sys/devices/virtual/tty/${name}/dev`, '')
    machine.link(`sys/class/tty/${name}`, `sys/devices/virtual/tty/${name}`)
    machine.file(`dev/${name}`, '')
  }
  return machine
}

test('ports are listed by name, without consoles and UARTs that do not exist', async (t) => {
  const ports = await listSerialPorts(board(t).root)
  assert.deepEqual(
    ports.map((port) => `${port.path} ${port.driver}`),
    [
      '/dev/rfcomm0 undefined',
      '/dev/ttyACM0 cdc_acm',
      '/dev/ttyAMA0 uart-pl011',
      '/dev/ttyS0 serial8250',
      '/dev/ttyUSB2 ftdi_sio',
      '/dev/ttyUSB3 ch341-uart',
      '/dev/ttyUSB4 ch341-uart',
      '/dev/ttyUSB10 ftdi_sio',
    ],
  )
})

test('a USB port tells what its device tells, and an interface where there are several', async (t) => {
  const ports = await listSerialPorts(board(t).root)
  const named = (path: string) => ports.find((port) => port.path === path)
  assert.deepEqual(named('/dev/ttyACM0'), {
    path: '/dev/ttyACM0',
    byId: '/dev/serial/by-id/usb-Arduino_0043_7573530313-if00',
    isUsb: true,
    vendorId: '2341',
    productId: '0043',
    serialNumber: '7573530313',
    manufacturer: 'Arduino (www.arduino.cc)',
    interfaceNumber: 0,
    driver: 'cdc_acm',
  })
  assert.equal(named('/dev/ttyUSB10')?.interfaceNumber, 0)
  assert.equal(named('/dev/ttyUSB2')?.interfaceNumber, 1)
  assert.deepEqual(named('/dev/ttyAMA0'), { path: '/dev/ttyAMA0', isUsb: false, driver: 'uart-pl011' })
})

test('the ports of this machine are listed without an error', async () => {
  for (const port of await listSerialPorts()) assert.match(port.path, /^\/dev\/[a-zA-Z]+\d+$/)
})

test('a machine without serial ports has an empty list', async (t) => {
  assert.deepEqual(await listSerialPorts(new FakeMachine(t).root), [])
})

test('selectors are paths or USB ids', () => {
  assert.equal(parsePortSelector('/dev/ttyUSB0'), '/dev/ttyUSB0')
  assert.deepEqual(parsePortSelector('usb:2341'), { vendor: '2341' })
  assert.deepEqual(parsePortSelector('usb:2341:43'), { vendor: '2341', product: '43' })
  assert.deepEqual(parsePortSelector('usb:2341:0043:A:B'), { vendor: '2341', product: '0043', serial: 'A:B' })
  assert.deepEqual(parsePortSelector('usb:2341::S'), { vendor: '2341', serial: 'S' })
  for (const text of ['', 'ttyUSB0', 'usb:', 'usb:23410', 'usb:xyz', 'usb:2341:0043:']) {
    assert.equal(parsePortSelector(text), undefined, text)
  }
})

test('a USB device is found under whatever name it has', async (t) => {
  const ports = await listSerialPorts(board(t).root)
  const pathOf = (text: string) => {
    const found = matchPort(parsePortSelector(text) ?? '', ports)
    return found instanceof SerialError ? found.code : found.path
  }
  assert.equal(pathOf('usb:2341'), '/dev/ttyACM0')
  assert.equal(pathOf('usb:2341:43:7573530313'), '/dev/ttyACM0')
  assert.equal(pathOf('usb:2341::7573530313'), '/dev/ttyACM0')
  assert.equal(pathOf('usb:2341:0043:other'), 'missing')
  assert.equal(pathOf('usb:1A86:7523'), 'ambiguous')
  assert.equal(pathOf('/dev/serial/by-id/usb-Arduino_0043_7573530313-if00'), '/dev/ttyACM0')
  assert.equal(pathOf('/dev/serial/by-path/platform-usb-1-4'), '/dev/ttyUSB4')
})

test('twins are told apart by the sockets that they are in', async (t) => {
  const found = await findSerialPort({ vendor: '1a86', product: '7523' }, board(t).root)
  assert.ok(found instanceof SerialError)
  assert.equal(
    found.message,
    '2 serial ports are USB 1a86:7523: name one by its path: ' +
      '/dev/serial/by-path/platform-usb-1-3, /dev/serial/by-path/platform-usb-1-4',
  )
})

test('a device that is not there is reported with those that are', async (t) => {
  const found = await findSerialPort({ vendor: 'abcd', serial: 'X' }, board(t).root)
  assert.ok(found instanceof SerialError)
  assert.match(found.message, /^no serial port USB abcd:\*, serial X: plug it in, or set another path \(there are: /)
  assert.match(found.message, /\/dev\/ttyUSB2 \(0403:6010 Dual RS232, serial FT1\); /)
})

test('a path may be a link of somebody, or a terminal that is no port', async (t) => {
  const { root } = board(t)
  const link = await findSerialPort('/dev/arduino', root)
  assert.ok(!(link instanceof SerialError))
  assert.equal(link.serialNumber, '7573530313')
  assert.deepEqual(await findSerialPort('/dev/ptmx'), { path: '/dev/ptmx', isUsb: false })
  const missing = await findSerialPort('/dev/ttyUSB77', root)
  assert.ok(missing instanceof SerialError)
})

test('the latency timer of an FTDI adapter is set through any of its names', async (t) => {
  const machine = board(t)
  const timer = 'sys/bus/usb-serial/devices/ttyUSB2/latency_timer'
  machine.file(timer, '16\n')
  machine.link('dev/desk', 'dev/ttyUSB2')
  assert.equal(await setLowLatency('/dev/desk', machine.root), true)
  assert.equal(readFileSync(join(machine.root, timer), 'utf8').trim()[0], '1')
  assert.equal(await setLowLatency('/dev/ttyACM0', machine.root), false)
  assert.equal(await setLowLatency('/dev/nothing', machine.root), false)
})

test('a UART tells its line errors, a USB adapter does not', async (t) => {
  const machine = board(t)
  machine.file(
    'proc/tty/driver/serial',
    'serinfo:1.0 driver revision:\n0: uart:16550A port:000003F8 irq:4 tx:218 rx:7 fe:12 oe:3 RTS|DTR\n1: uart:unknown port:0\n',
  )
  machine.file('proc/tty/driver/ttyAMA', 'serinfo:1.0 driver revision:\n0: uart:PL011 rev2 tx:1 rx:2 pe:1 RTS|DTR\n')
  assert.deepEqual(await readLineErrors('/dev/ttyS0', machine.root), { framing: 12, overrun: 3, parity: 0 })
  assert.deepEqual(await readLineErrors('/dev/ttyAMA0', machine.root), { framing: 0, overrun: 0, parity: 1 })
  assert.equal(await readLineErrors('/dev/ttyS1', machine.root), undefined)
  assert.equal(await readLineErrors('/dev/ttyUSB2', machine.root), undefined)
})

test('a denied port is explained by its group, the command and the udev rule', async (t) => {
  const machine = board(t)
  const path = join(machine.root, 'dev/ttyACM0')
  const ports = [{ path, isUsb: true, vendorId: '2341', productId: '0043' }]
  // Root gives the file to another group; anybody else has a group that is not 0.
  const gid = process.getgid?.() || 60_000
  chownSync(path, process.getuid?.() ?? 0, gid)
  const messageFor = async (groups: string, mode: number) => {
    chmodSync(path, mode)
    machine.file('etc/group', `root:x:0:\n${groups}\n`)
    return (await explainDenied(path, ports, { root: machine.root, user: 'pi' })).message
  }
  const rule = 'SUBSYSTEM=="tty", ATTRS{idVendor}=="2341", ATTRS{idProduct}=="0043", GROUP="dialout", MODE="0660"'
  const usual = await messageFor(`dialout:x:${gid}:other`, 0o660)
  assert.ok(usual.startsWith(`not allowed to open ${path}, which belongs to the group dialout (mode 660): `), usual)
  assert.match(usual, /run "sudo usermod -aG dialout pi" and log in again/)
  assert.ok(usual.endsWith(rule))
  assert.match(await messageFor(`dialout:x:${gid}:other,pi`, 0o660), /pi is in this group, but was added after/)
  // Being in the group would not help.
  for (const message of [await messageFor(`dialout:x:${gid}:`, 0o600), await messageFor('', 0o660)]) {
    assert.doesNotMatch(message, /usermod/)
    assert.ok(message.endsWith(rule))
  }
})

test('without the library the message says what to install', async () => {
  const absent = () => Promise.reject(Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' }))
  await assert.rejects(loadSerialDriver(absent), {
    code: 'module',
    message:
      'serial ports need the package @serialport/bindings-cpp, which is not installed: ' +
      'run "npm install @serialport/bindings-cpp@13" in the folder of clasp-edge',
  })
  const broken = () =>
    Promise.reject(new Error('No native build was found for platform=linux arch=riscv64\nloaded from'))
  await assert.rejects(loadSerialDriver(broken), {
    message: /does not load \(No native build .* arch=riscv64\): run "npm rebuild/,
  })
})
