import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Plain } from '../../../devices/device.ts'
import type { PortRequest } from '../../../devices/serial/ports.ts'
import { parseConfig } from '../../../runtime/config/load.ts'
import { startDevices } from '../../../runtime/devices/device-host.ts'
import { DevicePorts } from '../../../runtime/devices/device-ports.ts'
import { plainOf } from '../../../runtime/devices/wire-value.ts'
import { systemClock } from '../../../runtime/router/clock.ts'
import type { LocalSession } from '../../../runtime/router/local-session.ts'
import { silentLog } from '../../../runtime/router/log.ts'
import { defaultRouterOptions } from '../../../runtime/router/options.ts'
import { Router } from '../../../runtime/router/router.ts'
import { Line } from '../../line/line.ts'
import { RawEnd } from '../../line/raw-end.ts'
import { until } from '../../until.ts'
import { ModbusSlaves } from './modbus-slaves.ts'

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ports-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

async function openLine(t: TestContext): Promise<Line> {
  const folder = folderFor(t)
  return Line.open({ a: join(folder, 'a'), b: join(folder, 'b'), baud: 'follow' }, t)
}

/** Configured devices at real ports, with what a client sees of them. */
interface Running {
  client: LocalSession
  params: Map<string, Plain | undefined>
  events: { address: string; value: Plain | undefined }[]
}

async function start(t: TestContext, yaml: string): Promise<Running> {
  const params: Running['params'] = new Map()
  const events: Running['events'] = []
  const router = new Router({ ...defaultRouterOptions, name: 'ports' }, { clock: systemClock, log: silentLog })
  const client = router.openLocal({
    name: 'client',
    onMessage(message) {
      if (message.type === 'SET') params.set(message.address, plainOf(message.value))
      if (message.type !== 'PUBLISH') return
      const value = message.payload ?? message.value
      events.push({ address: message.address, value: value && plainOf(value) })
    },
  })
  client.send({ type: 'SUBSCRIBE', id: 1, pattern: '/**', types: [] })
  const { devices } = await parseConfig(`devices:\n${yaml.replace(/^/gm, '  ')}\n`, 'test.yaml')
  const host = await startDevices(
    { entries: devices, simulate: false, watchdogMs: 100, lingerMs: 0 },
    { router, clock: systemClock, log: silentLog, program: null, serial: new DevicePorts(systemClock) },
  )
  t.after(async () => {
    await host.stop()
    router.stop()
  })
  return { client, params, events }
}

test('lines and sentences go through real ports, and a port that was unplugged is opened again', async (t) => {
  const [scanner, gps] = await Promise.all([openLine(t), openLine(t)])
  const [scannerEnd, gpsEnd] = [new RawEnd(scanner.b, t), new RawEnd(gps.b, t)]
  for (const [path, rate] of [
    [scanner.b, '19200'],
    [gps.b, '4800'],
  ]) {
    execFileSync('stty', ['-F', path, rate, 'raw', '-echo'])
  }
  const { client, params, events } = await start(
    t,
    `- {name: scanner, kind: lines, port: ${scanner.a}, baudRate: 19200, ending: crlf}
- {name: boat, kind: nmea, port: ${gps.a}, baudRate: 4800}`,
  )
  const lines = () => events.filter(({ address }) => address === '/serial/scanner/line').map(({ value }) => value)
  await scannerEnd.write('4005700123\r\nfirst half,')
  await gpsEnd.write('000,E\r\n$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n')
  await until(() => params.has('/gps/boat/position') && lines().length === 1, 'position and line')
  assert.deepEqual(params.get('/gps/boat/position'), { lat: 48.1173, lon: 11.5166667, alt: 545.4 })
  client.send({
    type: 'PUBLISH',
    address: '/serial/scanner/send',
    signal: 'event',
    payload: { type: 'string', value: 'BEEP' },
  })
  await until(() => scannerEnd.received.length >= 6, 'the command')
  assert.equal(scannerEnd.received.toString(), 'BEEP\r\n')
  await scanner.unplug('a')
  await until(() => params.get('/serial/scanner/ok') === false, 'word of the unplugged port')
  await scanner.plug('a')
  await until(() => params.get('/serial/scanner/ok') === true, 'return of the port')
  await scannerEnd.write('again\n')
  await until(() => lines().length === 2, 'the line after it')
  assert.deepEqual(lines(), ['4005700123', 'again'])
})

test('Modbus and JSON go through real ports', async (t) => {
  const [bus, station] = await Promise.all([openLine(t), openLine(t)])
  const [busEnd, stationEnd] = [new RawEnd(bus.b, t), new RawEnd(station.b, t)]
  const slaves = new ModbusSlaves()
  slaves.set(3, 'holding', 0, 7)
  slaves.set(3, 'input', 0, 0xff85)
  let heard = 0
  const serve = setInterval(() => {
    const { received } = busEnd
    // Requests without data of their own have eight bytes.
    if (received.length < heard + 8) return
    const answer = slaves.hear(received.subarray(heard, heard + 8))
    heard += 8
    if (answer !== null) void busEnd.write(answer)
  }, 1)
  t.after(() => clearInterval(serve))
  for (const path of [bus.b, station.b]) execFileSync('stty', ['-F', path, '115200', 'raw', '-echo'])
  const { client, params } = await start(
    t,
    `- name: plant
  kind: modbus
  port: ${bus.a}
  baudRate: 115200
  registers:
  - {name: setting, slave: 3, register: 0, access: rw, every: 50ms}
  - {name: outside, slave: 3, area: input, register: 0, type: s16, scale: 0.1, every: 50ms}
- {name: station, kind: json, port: ${station.a}, fields: [{name: t}]}`,
  )
  await until(() => params.get('/modbus/plant/setting') === 7 && params.has('/modbus/plant/outside'), 'the registers')
  assert.equal(params.get('/modbus/plant/outside'), -12.3)
  client.send({ type: 'SET', address: '/modbus/plant/setting', value: { type: 'i64', value: 9 } })
  await until(() => slaves.get(3, 'holding', 0) === 9, 'the written register')
  await stationEnd.write('{"t":21.5}\n')
  await until(() => params.get('/serial/station/t') === 21.5, 'the value')
  assert.equal(slaves.broken, 0)
})

function request(port: string, more: Partial<PortRequest> = {}): PortRequest {
  return {
    port,
    baudRate: 9600,
    dataBits: 8,
    parity: 'none',
    stopBits: 1,
    rs485: false,
    onData: () => {},
    onGone: () => {},
    ...more,
  }
}

test('a port that is missing, or has no transceiver that its driver switches, is refused with what to do', async (t) => {
  const line = await openLine(t)
  const ports = new DevicePorts(systemClock)
  await assert.rejects(ports.open(request('/dev/ttyUSB77')), /no serial port \/dev\/ttyUSB77: plug it in/)
  await assert.rejects(ports.open(request('usb:dead:beef')), /no serial port USB dead:beef: plug it in/)
  await assert.rejects(
    ports.open(request(line.a, { rs485: true })),
    /does not switch an RS-485 transceiver: add "linux,rs485-enabled-at-boot-time" to this UART.*or use a USB adapter/,
  )
})

test('a port gets its stop bits, and RS-485 where the device tree says so', async (t) => {
  const line = await openLine(t)
  const root = folderFor(t)
  const terminal = realpathSync(line.a)
  mkdirSync(join(root, dirname(line.a)), { recursive: true })
  symlinkSync(terminal, join(root, line.a))
  const uart = join(root, 'sys/devices/platform/soc/fe201000.serial')
  mkdirSync(join(uart, 'of_node'), { recursive: true })
  mkdirSync(join(uart, 'port'))
  writeFileSync(join(uart, 'of_node/linux,rs485-enabled-at-boot-time'), '')
  mkdirSync(join(root, 'sys/class/tty', basename(terminal)), { recursive: true })
  symlinkSync(join(uart, 'port'), join(root, 'sys/class/tty', basename(terminal), 'device'))
  const port = await new DevicePorts(systemClock, root).open(request(line.a, { rs485: true, stopBits: 2 }))
  const words = execFileSync('stty', ['-F', line.a, '-a'], { encoding: 'utf8' }).split(/[\s;]+/)
  await port.close()
  assert.ok(words.includes('cstopb'), words.join(' '))
})
