import { type Bus, defineBoard } from './board.ts'
import { header } from './header.ts'

const armbian = (overlay: string) => [{ file: 'armbianEnv.txt' as const, line: `overlays=${overlay}` }]

const buses: readonly Bus[] = [
  {
    kind: 'i2c',
    name: 'i2c7',
    address: 'ff160000',
    node: '/dev/i2c-7',
    pins: [
      ['GPIO2_A7', 'SDA'],
      ['GPIO2_B0', 'SCL'],
    ],
    enable: armbian('i2c7'),
    note: 'on Radxa OS: rsetup, Overlays',
  },
  {
    kind: 'spi',
    name: 'spi1',
    address: 'ff1d0000',
    node: '/dev/spidev1.0',
    pins: [
      ['GPIO1_B0', 'MOSI'],
      ['GPIO1_A7', 'MISO'],
      ['GPIO1_B1', 'SCLK'],
      ['GPIO1_B2', 'CS0'],
    ],
    enable: armbian('spi-spidev'),
    note: 'not on boards with an SPI flash chip: it has these pins; with a line param_spidev_spi_bus=1',
  },
  {
    kind: 'uart',
    name: 'uart2',
    address: 'ff1a0000',
    node: '/dev/ttyS2',
    pins: [
      ['GPIO4_C4', 'TXD'],
      ['GPIO4_C3', 'RXD'],
    ],
    enable: [],
    note: 'the console, 1 500 000 baud',
  },
  {
    kind: 'uart',
    name: 'uart4',
    address: 'ff370000',
    node: '/dev/ttyS4',
    pins: [
      ['GPIO1_B0', 'TXD'],
      ['GPIO1_A7', 'RXD'],
    ],
    enable: armbian('uart4'),
  },
  {
    kind: 'pwm',
    name: 'pwm0',
    address: 'ff420000',
    node: '/sys/class/pwm/pwmchip0',
    pins: [['GPIO4_C2', 'PWM']],
    enable: [],
  },
  {
    kind: 'pwm',
    name: 'pwm1',
    address: 'ff420010',
    node: '/sys/class/pwm/pwmchip1',
    pins: [['GPIO4_C6', 'PWM']],
    enable: [],
  },
]

/**
 * The ROCK 4 family (A, B, SE and their plus models). A name is bank, port (A to D) and number; the line of the bank is
 * 8 × port + number. Source: docs.radxa.com, ROCK 4 hardware interface; Linux' rk3399.dtsi.
 */
export const rock4 = defineBoard({
  id: 'rock-4',
  title: 'Radxa ROCK 4',
  models: /^Radxa ROCK (Pi )?4[ABS]/i,
  compatible: ['radxa,rockpi4', 'radxa,rock-4se'],
  headers: [
    header(
      'J1',
      `
      3V3       5V
      GPIO2_A7  5V
      GPIO2_B0  GND
      GPIO2_B3  GPIO4_C4
      GND       GPIO4_C3
      GPIO4_C2  GPIO4_A3
      GPIO4_C6  GND
      GPIO4_C5  GPIO4_D2
      3V3       GPIO4_D4
      GPIO1_B0  GND
      GPIO1_A7  GPIO4_D5
      GPIO1_B1  GPIO1_B2
      GND       ADC_IN0
      GPIO2_A0  GPIO2_A1
      GPIO2_B2  GND
      GPIO2_B1  GPIO3_C0
      GPIO2_B4  GND
      GPIO4_A5  GPIO4_A4
      GPIO4_D6  GPIO4_A6
      GND       GPIO4_A7
      `,
      {
        lineOf(name) {
          const found = /^GPIO(\d)_([A-D])(\d)$/.exec(name)
          if (found === null) return undefined
          const [, bank, port, number] = found
          return { chip: `gpio${bank}`, offset: 8 * 'ABCD'.indexOf(port) + Number(number) }
        },
      },
    ),
  ],
  chips: ['ff720000', 'ff730000', 'ff780000', 'ff788000', 'ff790000'].map((address, bank) => ({
    id: `gpio${bank}`,
    label: `gpio${bank}`,
    address,
    lines: 32,
  })),
  buses,
  leds: [['user-led2', 'blue:status', 'status']],
  watchdog: { node: '/dev/watchdog0' },
  traps: [
    'The lines stand 3.0 V (at most 3.14 V), only GPIO3_C0 (pin 32) 3.3 V, and ADC_IN0 (pin 26) 1.8 V: put a level shifter before 3.3 V parts that drive a pin.',
    'Pins 8 and 10 are the console at 1 500 000 baud.',
    'Pins 27 and 28 can be I2C2 with Radxa OS (rsetup, Overlays); Armbian has no overlay for it.',
    'Numbers in tables of others are global: 71 is gpio2 line 7 (64 + 7); kernels since 6.6 add 512 in /sys/class/gpio.',
  ],
})
