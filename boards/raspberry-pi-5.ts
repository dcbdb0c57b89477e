import { type Bus, defineBoard } from './board.ts'
import { configLine, pair, RASPBERRY_PI_TRAPS, raspberryPiCommonBuses } from './raspberry-pi-buses.ts'
import { raspberryPiHeader } from './raspberry-pi-header.ts'

/** The pins belong to a chip of their own, RP1, behind PCI Express. */

const i2c = (n: number, address: string, pins: readonly [number, number]) =>
  pair('i2c', `i2c${n}`, { address, node: `/dev/i2c-${n}`, overlay: `i2c${n}-pi5` }, pins)

const uart = (n: number, address: string, pins: readonly [number, number]) =>
  pair('uart', `uart${n}`, { address, node: `/dev/ttyAMA${n}`, overlay: `uart${n}-pi5` }, pins)

const buses: readonly Bus[] = [
  ...raspberryPiCommonBuses({ i2c1: '1f00074000', spi0: '1f00050000', spi1: '1f00054000' }),
  i2c(2, '1f00078000', [4, 5]),
  i2c(3, '1f0007c000', [6, 7]),
  {
    kind: 'uart',
    name: 'uart0',
    address: '1f00030000',
    node: '/dev/ttyAMA0',
    pins: [
      ['GPIO14', 'TXD'],
      ['GPIO15', 'RXD'],
    ],
    enable: [configLine('dtparam=uart0=on', 'dtparam=uart0_console=on', 'dtoverlay=uart0-pi5', 'dtoverlay=uart0')],
  },
  uart(1, '1f00034000', [0, 1]),
  uart(2, '1f00038000', [4, 5]),
  uart(3, '1f0003c000', [8, 9]),
  uart(4, '1f00040000', [12, 13]),
  {
    kind: 'pwm',
    name: 'pwm0',
    address: '1f00098000',
    node: '/sys/class/pwm/pwmchip0',
    pins: [
      ['GPIO12', 'channel 0'],
      ['GPIO13', 'channel 1'],
      ['GPIO18', 'channel 2'],
      ['GPIO19', 'channel 3'],
    ],
    enable: [configLine('dtoverlay=pwm-2chan', 'dtoverlay=pwm')],
    note: 'the overlay takes 18 and 19; 12 and 13 instead: dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4',
  },
]

/** Source: raspberrypi.com/documentation; RP1 peripherals; the vendor's bcm2712-rpi-5-b.dts and rp1.dtsi. */
export const raspberryPi5 = defineBoard({
  id: 'raspberry-pi-5',
  title: 'Raspberry Pi 5',
  models: /^Raspberry Pi 5( |$)/,
  compatible: ['raspberrypi,5-model-b'],
  headers: [raspberryPiHeader],
  chips: [{ id: 'gpio', label: 'pinctrl-rp1', address: '1f000d0000', lines: 54 }],
  buses,
  leds: [['ACT'], ['PWR']],
  watchdog: { node: '/dev/watchdog0', maxTimeoutSeconds: 15 },
  bootFilters: ['pi5'],
  traps: [
    ...RASPBERRY_PI_TRAPS,
    'The chip of the header is /dev/gpiochip4 in kernels of the vendor before 6.6.45 and /dev/gpiochip0 since, others differ: go by its label, pinctrl-rp1.',
    '/dev/serial0 is the small debug socket (ttyAMA10) beside HDMI, not pins 8 and 10: those are /dev/ttyAMA0.',
    'With a supply that cannot do 5 A the USB ports together give 600 mA.',
    'Programs that write to the registers of older models (pigpio, RPi.GPIO) do nothing here.',
  ],
})
