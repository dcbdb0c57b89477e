import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boardById } from '../../boards/detect.ts'
import { boardLines } from '../../runtime/cli/board-page.ts'
import { lookAtBoard } from '../../runtime/cli/board-view.ts'
import type { Terminal } from '../../runtime/cli/terminal.ts'
import { fakeFiles, PI_4 } from '../boards/fake-files.ts'
import { cli, folderWith } from './run-cli.ts'

/** Shows colours as `<red:text>`. */
const terminal = { paint: (style: string, text: string) => `<${style}:${text}>` } as Terminal

const BUSY = {
  'sys/kernel/debug/gpio':
    'gpiochip0: GPIOs 512-569, parent: platform/fe200000.gpio, pinctrl-bcm2711:\n' +
    ' gpio-529 (GPIO17              |other-program       ) out hi\n',
}

test('board shows the header as it lies on the board, with what is on and who has a line', async (t) => {
  const root = fakeFiles(t, { ...PI_4, ...BUSY })
  const { code, stdout } = await cli(['board', '--root', root])
  assert.equal(code, 0)
  assert.match(stdout, /^Raspberry Pi 4 Model B Rev 1\.5 \(raspberry-pi-4\)\n/)
  assert.match(stdout, /gpio: \/dev\/gpiochip0, pinctrl-bcm2711 at fe200000, 58 lines/)
  assert.match(stdout, /\n +i2c1 +i2c1 SDA +GPIO2 +3 4 +5V\n/)
  assert.match(stdout, /\n *other-program \(out\) +spi1 +GPIO17 +11 12 +GPIO18 +spi1 pwm\n/)
  assert.match(
    stdout,
    /\ni2c1 +on +\/dev\/i2c-1 +SDA GPIO2, SCL GPIO3 +dtparam=i2c_arm=on in \/boot\/firmware\/config\.txt\n/,
  )
  assert.match(stdout, /\nuart0 +off +/, 'Bluetooth has it')
  assert.match(stdout, /\nspi0 +off +\/dev\/spidev0\.0 /)
  assert.doesNotMatch(stdout, /only root can see/)
})

test('board --json has the same for programs', async (t) => {
  const { stdout } = await cli(['board', '--json', '--root', fakeFiles(t, { ...PI_4, ...BUSY })])
  const board = JSON.parse(stdout)
  assert.equal(board.id, 'raspberry-pi-4')
  const pin = board.headers[0].pins[10]
  assert.deepEqual(
    [pin.number, pin.name, pin.line, pin.usedBy],
    [11, 'GPIO17', { chip: 'gpio', offset: 17 }, 'other-program (out)'],
  )
  assert.deepEqual(board.headers[0].pins[2].functions, [{ bus: 'i2c1', role: 'SDA', isOn: true }])
  const uart = board.buses.find(({ name }: { name: string }) => name === 'uart1')
  assert.deepEqual([uart.isOn, uart.isAskedFor, uart.nodes], [true, true, ['/dev/ttyS0']])
})

test('board --board shows the data of a board that is not here, and nothing about its state', async (t) => {
  const root = fakeFiles(t, PI_4)
  const { code, stdout } = await cli(['board', '--board', 'beaglebone-black', '--root', root])
  assert.equal(code, 0)
  assert.match(stdout, /P9_11 11 12 P9_12/)
  assert.doesNotMatch(stdout, /STATE|USED BY|not there|only root/)
})

test('board --board shows what a configuration that is named would have of it', async (t) => {
  const folder = await folderWith(t, {
    'show.yaml': 'devices: [{ name: door, kind: switch, line: GPIO17 }, { name: shed, kind: bme280 }]\n',
  })
  const { code, stdout } = await cli(['board', '--board', 'raspberry-pi-5', '--config', `${folder}/show.yaml`])
  assert.equal(code, 0)
  assert.match(stdout, /^ +door +spi1 GPIO17 11 12 GPIO18/m)
  assert.match(stdout, /^ +shed +i2c1 +GPIO2 +3 4/m)
})

test('board without a device tree shows the simulated board', async (t) => {
  const { code, stdout } = await cli(['board', '--root', fakeFiles(t, {})])
  assert.equal(code, 0)
  assert.match(stdout, /^Simulated board \(simulated\)\n/)
})

test('a board that nobody knows is answered with the nearest name', async () => {
  const { code, stderr } = await cli(['board', '--board', 'raspbery-pi-4'])
  assert.equal(code, 2)
  assert.match(stderr, /there is no "raspbery-pi-4", did you mean "raspberry-pi-4"\?/)
  assert.doesNotMatch(stderr, /\n {4}at /)
})

test('a line of a configured device is shown with the device, which comes before what the kernel says of it', async (t) => {
  const root = fakeFiles(t, {
    ...PI_4,
    ...BUSY,
    'etc/clasp-edge/config.yaml':
      'devices:\n  - { name: door, kind: button, line: GPIO17 }\n  - { name: bell, kind: relay, line: "gpiochip0:27" }\n',
  })
  const { stdout } = await cli(['board', '--root', root])
  assert.match(stdout, /\n +door +spi1 +GPIO17 +11 12/)
  assert.match(stdout, /\n +bell +GPIO27 +13 14/)
})

test('devices on a bus are shown on its pins', async (t) => {
  const root = fakeFiles(t, {
    ...PI_4,
    'etc/clasp-edge/config.yaml': `devices:
  - { name: climate, kind: bme280, bus: 1 }
  - { name: lux, kind: bh1750 }
  - { name: fan, kind: pwm }
  - { name: cellar, kind: ds18b20, id: 28-0316a2795e2f }
`,
  })
  const { stdout } = await cli(['board', '--root', root])
  for (const pin of ['GPIO2 +3 4', 'GPIO3 +5 6']) assert.match(stdout, new RegExp(`climate lux +i2c1 \\w+ +${pin}`))
  assert.match(stdout, /12 GPIO18 .*pwm +fan\n/)
  assert.match(stdout, /\n +spi1 pwm GPIO19 +35 36/)
  assert.match(stdout, /cellar +one-wire .*GPIO4 +7 8/)
})

test('a configuration that cannot be used is named, and the board is shown without it', async (t) => {
  const root = fakeFiles(t, { ...PI_4, 'etc/clasp-edge/config.yaml': 'devises: []\n' })
  const { code, stdout, stderr } = await cli(['board', '--root', root])
  assert.equal(code, 0)
  assert.match(stdout, /GPIO17 +11 12/)
  assert.match(stderr, /without the devices of .*config\.yaml, which cannot be used: clasp-edge check/)
})

test('colours tell lines, power and ground apart, and the columns stay straight', async (t) => {
  const board = boardById('raspberry-pi-4')
  assert.ok(board)
  const lines = boardLines(terminal, await lookAtBoard(board, fakeFiles(t, { ...PI_4, ...BUSY })))
  const row = lines.find((line) => line.includes('GPIO17'))
  assert.match(
    row ?? '',
    /^<yellow: *other-program \(out\)> <dim: +spi1> <green: *GPIO17> <bold:11> <bold:12> <green:GPIO18/,
  )
  assert.match(lines.find((line) => line.includes('<bold: 1>')) ?? '', /<red: +3V3> <bold: 1> <bold:2 > <red:5V +>/)
})
