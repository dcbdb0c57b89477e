import { type Bus, defineBoard, type Enable } from './board.ts'
import { header } from './header.ts'

/** Armbian and the vendor's system name their overlays differently. */
const overlay = (armbian: string, vendor: string): Enable[] => [
  { file: 'armbianEnv.txt', line: `overlays=${armbian}` },
  { file: 'orangepiEnv.txt', line: `overlays=${vendor}` },
]

const buses: readonly Bus[] = [
  {
    kind: 'i2c',
    name: 'i2c1',
    address: '5002400',
    node: '/dev/i2c-1',
    pins: [
      ['PI8', 'SDA'],
      ['PI7', 'SCL'],
    ],
    enable: overlay('i2c1-pi', 'pi-i2c1'),
  },
  {
    kind: 'i2c',
    name: 'i2c2',
    address: '5002800',
    node: '/dev/i2c-2',
    pins: [
      ['PI10', 'SDA'],
      ['PI9', 'SCL'],
    ],
    enable: overlay('i2c2-pi', 'pi-i2c2'),
  },
  {
    kind: 'spi',
    name: 'spi1',
    address: '5011000',
    node: '/dev/spidev1.0',
    pins: [
      ['PH7', 'MOSI'],
      ['PH8', 'MISO'],
      ['PH6', 'SCLK'],
      ['PH5', 'CS0'],
      ['PH9', 'CS1'],
    ],
    enable: [
      { file: 'armbianEnv.txt', line: 'overlays=spi-spidev', same: ['overlays=spi1-cs0-spidev'] },
      {
        file: 'orangepiEnv.txt',
        line: 'overlays=spi1-cs0-spidev',
        same: ['overlays=spi1-cs1-spidev', 'overlays=spi1-cs0-cs1-spidev'],
      },
    ],
    note: 'with spi-spidev also a line param_spidev_spi_bus=1',
  },
  {
    kind: 'uart',
    name: 'uart0',
    address: '5000000',
    node: '/dev/ttyS0',
    pins: [
      ['PH0', 'TXD'],
      ['PH1', 'RXD'],
    ],
    enable: [],
    note: 'the console of the boot loader and the system',
  },
  {
    kind: 'uart',
    name: 'uart5',
    address: '5001400',
    node: '/dev/ttyS5',
    pins: [
      ['PH2', 'TXD'],
      ['PH3', 'RXD'],
    ],
    enable: overlay('uart5', 'ph-uart5'),
  },
]

/**
 * Names are port and number; the line is 32 × port + number (PA = 0).
 * Source: Orange Pi Zero 2W user manual, "40 pin expansion interface"; `gpio readall` of the vendor's wiringOP; H618
 * data sheet; Linux' sun50i-h616.dtsi.
 */
export const orangePiZero2W = defineBoard({
  id: 'orange-pi-zero-2w',
  title: 'Orange Pi Zero 2W',
  models: /^Orange ?Pi Zero ?2W/i,
  compatible: ['xunlong,orangepi-zero2w'],
  headers: [
    header(
      'J3',
      `
      3V3   5V
      PI8   5V
      PI7   GND
      PI13  PH0
      GND   PH1
      PH2   PI1
      PH3   GND
      PI5   PI14
      3V3   PH4
      PH7   GND
      PH8   PI6
      PH6   PH5
      GND   PH9
      PI10  PI9
      PI0   GND
      PI15  PI11
      PI12  GND
      PI2   PC12
      PI16  PI4
      GND   PI3
      `,
      {
        lineOf(name) {
          const found = /^P([A-I])(\d+)$/.exec(name)
          if (found === null) return undefined
          const port = found[1].charCodeAt(0) - 'A'.charCodeAt(0)
          return { chip: 'pio', offset: 32 * port + Number(found[2]) }
        },
      },
    ),
  ],
  chips: [{ id: 'pio', label: '300b000.pinctrl', address: '300b000', lines: 288 }],
  buses,
  leds: [['green_led', 'green:status', 'orangepi:green:status']],
  watchdog: { node: '/dev/watchdog0', maxTimeoutSeconds: 16 },
  traps: [
    'The pins stand 3.3 V and no more.',
    'Lines have no names in the kernel: configure them by pin (PI13) or by chip and offset.',
    'Numbers of /dev/i2c-N move with the overlays (HDMI and the sound chip have buses too): `clasp-edge board` tells which is which.',
    'Pins 8 and 10 are the console: other devices there see the boot messages.',
  ],
})
