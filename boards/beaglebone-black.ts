import { type Bus, defineBoard, type Header, type Line } from './board.ts'
import { header } from './header.ts'

/**
 * Lines by pin, bank.offset. Source: BeagleBone Black system reference manual, tables of the expansion headers;
 * gpio-line-names of Linux' am335x-boneblack.dts.
 */
const LINES = `
P8_3 1.6    P8_4 1.7    P8_5 1.2    P8_6 1.3    P8_7 2.2    P8_8 2.3    P8_9 2.5    P8_10 2.4   P8_11 1.13
P8_12 1.12  P8_13 0.23  P8_14 0.26  P8_15 1.15  P8_16 1.14  P8_17 0.27  P8_18 2.1   P8_19 0.22  P8_20 1.31
P8_21 1.30  P8_22 1.5   P8_23 1.4   P8_24 1.1   P8_25 1.0   P8_26 1.29  P8_27 2.22  P8_28 2.24  P8_29 2.23
P8_30 2.25  P8_31 0.10  P8_32 0.11  P8_33 0.9   P8_34 2.17  P8_35 0.8   P8_36 2.16  P8_37 2.14  P8_38 2.15
P8_39 2.12  P8_40 2.13  P8_41 2.10  P8_42 2.11  P8_43 2.8   P8_44 2.9   P8_45 2.6   P8_46 2.7
P9_11 0.30  P9_12 1.28  P9_13 0.31  P9_14 1.18  P9_15 1.16  P9_16 1.19  P9_17 0.5   P9_18 0.4   P9_19 0.13
P9_20 0.12  P9_21 0.3   P9_22 0.2   P9_23 1.17  P9_24 0.15  P9_25 3.21  P9_26 0.14  P9_27 3.19  P9_28 3.17
P9_29 3.15  P9_30 3.16  P9_31 3.14  P9_41 0.20  P9_42 0.7
`

const lines = new Map(
  [...LINES.matchAll(/(P\d_\d+) +(\d)\.(\d+)/g)].map(([, pin, bank, offset]): [string, Line] => [
    pin,
    { chip: `gpio${bank}`, offset: Number(offset) },
  ]),
)

/** Two balls of the processor are soldered to each of these pins. */
const OTHER_LINES: Readonly<Record<string, Line>> = {
  P9_15: { chip: 'gpio2', offset: 0 },
  P9_41: { chip: 'gpio3', offset: 20 },
  P9_42: { chip: 'gpio3', offset: 18 },
}

/** Pins of a header in order: what is not a line is named by what it is. */
function boneHeader(name: string, others: Readonly<Record<number, string>>): Header {
  const names = Array.from({ length: 46 }, (_, i) => others[i + 1] ?? `${name}_${i + 1}`)
  const plain = header(name, names.join(' '), { lineOf: (pin) => lines.get(pin) })
  return { ...plain, pins: plain.pins.map((pin) => ({ ...pin, otherLine: OTHER_LINES[pin.name] })) }
}

const P8 = boneHeader('P8', { 1: 'GND', 2: 'GND' })

const P9 = boneHeader('P9', {
  1: 'GND',
  2: 'GND',
  3: '3V3',
  4: '3V3',
  5: 'VDD_5V',
  6: 'VDD_5V',
  7: 'SYS_5V',
  8: 'SYS_5V',
  9: 'PWR_BUT',
  10: 'SYS_RESETN',
  32: 'VADC',
  33: 'AIN4',
  34: 'AGND',
  35: 'AIN6',
  36: 'AIN5',
  37: 'AIN2',
  38: 'AIN3',
  39: 'AIN0',
  40: 'AIN1',
  43: 'GND',
  44: 'GND',
  45: 'GND',
  46: 'GND',
})

const overlay = (name: string) => [{ file: 'uEnv.txt' as const, line: `uboot_overlay_addr4=${name}.dtbo` }]

const uart = (n: number, address: string, txd: string, rxd: string): Bus => ({
  kind: 'uart',
  name: `uart${n}`,
  address,
  node: `/dev/ttyS${n}`,
  pins: [
    [txd, 'TXD'],
    [rxd, 'RXD'],
  ],
  enable: overlay(`BB-UART${n}-00A0`),
})

const spi = (n: number, address: string, [sclk, d0, d1, cs0]: readonly string[]): Bus => ({
  kind: 'spi',
  name: `spi${n}`,
  address,
  node: `/dev/spidev${n}.0`,
  pins: [
    [sclk, 'SCLK'],
    [d0, 'D0'],
    [d1, 'D1'],
    [cs0, 'CS0'],
  ],
  enable: overlay(`BB-SPIDEV${n}-00A0`),
  note: n === 1 ? 'HDMI sound has these pins unless uEnv.txt says disable_uboot_overlay_audio=1' : undefined,
})

const pwm = (n: number, address: string, a: string, b: string, name: string): Bus => ({
  kind: 'pwm',
  name: `ehrpwm${n}`,
  address,
  node: `/dev/bone/pwm/${n}`,
  pins: [
    [a, 'A'],
    [b, 'B'],
  ],
  enable: overlay(name),
})

const buses: readonly Bus[] = [
  {
    kind: 'i2c',
    name: 'i2c2',
    address: '4819c000',
    node: '/dev/i2c-2',
    pins: [
      ['P9_20', 'SDA'],
      ['P9_19', 'SCL'],
    ],
    enable: [],
    note: 'EEPROMs of capes answer at 0x54 to 0x57',
  },
  {
    kind: 'i2c',
    name: 'i2c1',
    address: '4802a000',
    node: '/dev/i2c-1',
    pins: [
      ['P9_18', 'SDA'],
      ['P9_17', 'SCL'],
    ],
    enable: overlay('BB-I2C1-00A0'),
  },
  spi(0, '48030000', ['P9_22', 'P9_21', 'P9_18', 'P9_17']),
  spi(1, '481a0000', ['P9_31', 'P9_29', 'P9_30', 'P9_28']),
  uart(1, '48022000', 'P9_24', 'P9_26'),
  uart(2, '48024000', 'P9_21', 'P9_22'),
  uart(4, '481a8000', 'P9_13', 'P9_11'),
  uart(5, '481aa000', 'P8_37', 'P8_38'),
  pwm(0, '48300200', 'P9_31', 'P9_29', 'BB-EHRPWM0-P9_29-P9_31'),
  pwm(1, '48302200', 'P9_14', 'P9_16', 'BB-EHRPWM1-P9_14-P9_16'),
  pwm(2, '48304200', 'P8_19', 'P8_13', 'BB-EHRPWM2-P8_13-P8_19'),
  {
    kind: 'one-wire',
    name: 'one-wire',
    node: '/sys/bus/w1/devices/w1_bus_master1',
    pins: [['P9_12', 'DATA']],
    enable: overlay('BB-W1-P9.12-00A0'),
    note: 'needs 4.7 kΩ to 3.3 V',
  },
]

export const beagleboneBlack = defineBoard({
  id: 'beaglebone-black',
  title: 'BeagleBone Black',
  models: /BeagleBone Black/,
  compatible: ['ti,am335x-bone-black'],
  headers: [P9, P8],
  chips: [
    { id: 'gpio0', label: 'gpio-0-31', address: '44e07000', lines: 32 },
    { id: 'gpio1', label: 'gpio-32-63', address: '4804c000', lines: 32 },
    { id: 'gpio2', label: 'gpio-64-95', address: '481ac000', lines: 32 },
    { id: 'gpio3', label: 'gpio-96-127', address: '481ae000', lines: 32 },
  ],
  buses,
  leds: [0, 1, 2, 3].map((n) => [`beaglebone:green:usr${n}`]),
  watchdog: { node: '/dev/watchdog0' },
  traps: [
    'The pins stand 3.3 V, the analog ones (AIN) only 1.8 V; none may be driven before the board has started.',
    'In newer kernels gpio0 starts last, so that /dev/gpiochip0 is gpio1 and even the labels move: go by the address or by line names.',
    'P8_3 to P8_6 and P8_20 to P8_25 are the eMMC, P8_27 to P8_46 are HDMI and the boot mode: free only when those are switched off.',
    'P9_41 and P9_42, and P9_15 on early boards, are two lines on one pin: leave the second one an input.',
    'Overlays count only with enable_uboot_overlays=1 in /boot/uEnv.txt; each needs a number of its own (uboot_overlay_addr4 to addr7).',
  ],
})
