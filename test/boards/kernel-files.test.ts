import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Board } from '../../boards/board.ts'
import { enableWith, isAsked, readBootConfig } from '../../boards/boot-config.ts'
import { busStates } from '../../boards/bus-states.ts'
import { busyLines } from '../../boards/busy-lines.ts'
import { chipNodes } from '../../boards/chip-nodes.ts'
import { boardById } from '../../boards/detect.ts'
import { type FakeFile, fakeFiles, PI_4 } from './fake-files.ts'

const pi4 = boardById('raspberry-pi-4') as Board
const pi5 = boardById('raspberry-pi-5') as Board
const bone = boardById('beaglebone-black') as Board
const orange = boardById('orange-pi-zero-2w') as Board

describe('chips and buses', () => {
  it('are known by where they are, whatever their number', async (t) => {
    const root = fakeFiles(t, {
      'sys/bus/gpio/devices/gpiochip4': { link: 'sys/devices/platform/axi/1000120000.pcie/1f000d0000.gpio/gpiochip4' },
      'sys/bus/gpio/devices/gpiochip0': { link: 'sys/devices/platform/soc@107c000000/107d508500.gpio/gpiochip0' },
    })
    assert.deepEqual([...(await chipNodes(pi5, root))], [['gpio', '/dev/gpiochip4']])
    assert.deepEqual([...(await chipNodes(pi5, '/nowhere'))], [])
    const shuffled = fakeFiles(t, {
      'sys/bus/gpio/devices/gpiochip0': { link: 'sys/devices/platform/ocp/4804c000.gpio/gpiochip0' },
      'sys/bus/gpio/devices/gpiochip3': { link: 'sys/devices/platform/ocp/44e07000.gpio/gpiochip3' },
    })
    assert.equal((await chipNodes(bone, shuffled)).get('gpio0'), '/dev/gpiochip3')
  })

  it('are on when the kernel has them, with the nodes that programs open', async (t) => {
    const root = fakeFiles(t, PI_4)
    const on = (await busStates(pi4, root)).filter(({ isOn }) => isOn)
    assert.deepEqual(
      on.map(({ bus, nodes }) => [bus.name, ...nodes]),
      [
        ['i2c1', '/dev/i2c-1'],
        ['uart1', '/dev/ttyS0'],
      ],
      'the full UART is there, but for Bluetooth',
    )
  })

  it('have the pins when the boot loader gave them away', async (t) => {
    const root = fakeFiles(t, { ...PI_4, 'boot/firmware/config.txt': 'enable_uart=1\ndtoverlay=disable-bt\n' })
    const uarts = (await busStates(pi4, root)).filter(({ bus, isOn }) => isOn && bus.kind === 'uart')
    assert.deepEqual(
      uarts.map(({ bus, nodes }) => [bus.name, ...nodes]),
      [['uart0', '/dev/ttyAMA0']],
    )
  })

  it('go by their usual number only where a device tree puts them elsewhere', async (t) => {
    const elsewhere = fakeFiles(t, {
      'sys/bus/i2c/devices/i2c-1': { link: 'sys/devices/platform/rp1/40074000.i2c/i2c-1' },
      'dev/i2c-1': '',
    })
    const state = async (board: Board, name: string, root: string) =>
      (await busStates(board, root)).find(({ bus }) => bus.name === name)
    assert.equal((await state(pi5, 'i2c1', elsewhere))?.isOn, true)
    // i2c-2 is another controller of this very board.
    const swapped = fakeFiles(t, {
      'sys/bus/i2c/devices/i2c-2': { link: 'sys/devices/platform/soc/5002400.i2c/i2c-2' },
    })
    assert.equal((await state(orange, 'i2c2', swapped))?.isOn, false)
    assert.equal((await state(orange, 'i2c1', swapped))?.isOn, true)
  })
})

describe('lines in use', () => {
  const gpio = (title: string, first: number) =>
    `${title}\n gpio-${first} (ID_SDA              )\n gpio-${first + 17} (GPIO17              |clasp:door          ) out hi \n` +
    ` gpio-${first + 18} (GPIO18              |interrupt           ) in  lo IRQ\n\ngpiochip1: GPIOs 570-577, parent: ` +
    'platform/soc:firmware:gpio, raspberrypi-exp-gpio, can sleep:\n gpio-570 (BT_ON               |shutdown            ) out hi\n'

  for (const [kernel, title, first] of [
    ['with numbers from 512', 'gpiochip0: GPIOs 512-569, parent: platform/fe200000.gpio, pinctrl-bcm2711:', 512],
    ['of before', 'gpiochip0: GPIOs 0-57, parent: platform/fe200000.gpio, pinctrl-bcm2711:', 0],
    ['without global numbers', 'gpiochip0: 58 GPIOs, parent: platform/fe200000.gpio, pinctrl-bcm2711:', 0],
  ] as const) {
    it(`are told with their consumers by kernels ${kernel}`, async (t) => {
      const root = fakeFiles(t, { 'sys/kernel/debug/gpio': gpio(title, first) })
      const busy = await busyLines(pi4, root)
      assert.deepEqual(
        [...(busy ?? [])],
        [
          ['gpio:17', 'clasp:door (out)'],
          ['gpio:18', 'interrupt (in)'],
        ],
      )
    })
  }

  it('that a controller has are told as well', async (t) => {
    const root = fakeFiles(t, {
      'sys/kernel/debug/gpio': '',
      'sys/kernel/debug/pinctrl/fe200000.gpio-pinctrl-bcm2711/pinmux-pins':
        'Pinmux settings per pin\nFormat: pin (name): mux_owner gpio_owner hog?\n' +
        'pin 1 (gpio1): (MUX UNCLAIMED) (GPIO UNCLAIMED)\n' +
        'pin 2 (gpio2): fe804000.i2c (GPIO UNCLAIMED) function alt0 group gpio2\n',
    })
    assert.deepEqual([...((await busyLines(pi4, root)) ?? [])], [['gpio:2', 'fe804000.i2c']])
  })

  it('are unknown to who is not root', async (t) => {
    assert.equal(await busyLines(pi4, fakeFiles(t, {})), undefined)
  })
})

describe('the file of the boot loader', () => {
  const asks = async (board: Board, root: string, name: string) => {
    const boot = await readBootConfig(board, root)
    const bus = board.buses.find((one) => one.name === name)
    const enable = boot && bus && enableWith(boot, bus)
    return boot !== undefined && enable !== undefined && isAsked(boot, enable)
  }
  const cases: [string, Board, Record<string, FakeFile>, string, boolean][] = [
    ['dtparam with several', pi4, { 'boot/config.txt': 'dtparam=audio=on,spi=on\n' }, 'spi0', true],
    ['dtparam without a value', pi4, { 'boot/config.txt': 'dtparam=spi\n' }, 'spi0', true],
    ['the last dtparam', pi4, { 'boot/config.txt': 'dtparam=spi=on\ndtparam=spi=off\n' }, 'spi0', false],
    ['another name for the same', pi4, { 'boot/config.txt': 'dtparam=i2c=on' }, 'i2c1', true],
    ['an overlay with parameters', pi4, { 'boot/config.txt': 'dtoverlay=uart3,ctsrts' }, 'uart3', true],
    ['a comment', pi4, { 'boot/config.txt': '#dtoverlay=uart3' }, 'uart3', false],
    ['a section of another model', pi4, { 'boot/config.txt': '[pi5]\ndtparam=spi=on' }, 'spi0', false],
    ['a section of this model', pi4, { 'boot/config.txt': '[pi5]\n[pi4]\ndtparam=spi=on' }, 'spi0', true],
    ['an included file', pi4, { 'boot/config.txt': 'include x.txt', 'boot/x.txt': 'dtparam=spi=on' }, 'spi0', true],
    [
      'the stub that newer systems leave at the old place',
      pi4,
      { 'boot/config.txt': 'DO NOT EDIT THIS FILE\ndtparam=spi=on' },
      'spi0',
      false,
    ],
    ['a list of overlays', orange, { 'boot/armbianEnv.txt': 'verbosity=1\noverlays=uart5 i2c1-pi\n' }, 'i2c1', true],
    ['the vendor’s system', orange, { 'boot/orangepiEnv.txt': 'overlays=pi-i2c1 ph-uart5' }, 'uart5', true],
    ['a list without it', orange, { 'boot/armbianEnv.txt': 'overlays=i2c1-ph' }, 'i2c1', false],
    [
      'any number and folder',
      bone,
      { 'boot/uEnv.txt': 'uboot_overlay_addr6=/lib/firmware/BB-UART1-00A0.dtbo' },
      'uart1',
      true,
    ],
    ['a commented overlay', bone, { 'boot/uEnv.txt': '#uboot_overlay_addr4=BB-UART1-00A0.dtbo' }, 'uart1', false],
  ]
  for (const [what, board, files, bus, expected] of cases) {
    it(`is understood: ${what}`, async (t) => {
      assert.equal(await asks(board, fakeFiles(t, files), bus), expected)
    })
  }
})
