import type { Bus, GpioChip } from './board.ts'
import { configLine, pair, raspberryPiCommonBuses } from './raspberry-pi-buses.ts'

/**
 * The system chip of the Raspberry Pi 4, 400 and Compute Module 4. Source: BCM2711 ARM peripherals, the vendor's
 * bcm2711.dtsi and boot/overlays/README.
 */

export const bcm2711Chips: readonly GpioChip[] = [
  { id: 'gpio', label: 'pinctrl-bcm2711', address: 'fe200000', lines: 58 },
]

const i2c = (n: number, address: string, pins: readonly [number, number]) =>
  pair('i2c', `i2c${n}`, { address, node: `/dev/i2c-${n}`, overlay: `i2c${n}` }, pins)

const uart = (n: number, address: string, pins: readonly [number, number]) =>
  pair('uart', `uart${n}`, { address, node: `/dev/ttyAMA${n}`, overlay: `uart${n}` }, pins)

export const bcm2711Buses: readonly Bus[] = [
  ...raspberryPiCommonBuses({ i2c1: 'fe804000', spi0: 'fe204000', spi1: 'fe215080' }),
  i2c(3, 'fe205600', [4, 5]),
  i2c(4, 'fe205800', [8, 9]),
  i2c(5, 'fe205a00', [12, 13]),
  i2c(6, 'fe205c00', [22, 23]),
  {
    kind: 'uart',
    name: 'uart1',
    address: 'fe215040',
    node: '/dev/ttyS0',
    pins: [
      ['GPIO14', 'TXD'],
      ['GPIO15', 'RXD'],
    ],
    enable: [configLine('enable_uart=1')],
    yieldsTo: 'uart0',
    note: 'the mini UART',
  },
  {
    kind: 'uart',
    name: 'uart0',
    address: 'fe201000',
    node: '/dev/ttyAMA0',
    pins: [
      ['GPIO14', 'TXD'],
      ['GPIO15', 'RXD'],
    ],
    enable: [configLine('dtoverlay=disable-bt', 'dtoverlay=miniuart-bt')],
    needsLine: true,
    note: 'the full UART, taken from Bluetooth',
  },
  uart(2, 'fe201400', [0, 1]),
  uart(3, 'fe201600', [4, 5]),
  uart(4, 'fe201800', [8, 9]),
  uart(5, 'fe201a00', [12, 13]),
  {
    kind: 'pwm',
    name: 'pwm',
    address: 'fe20c000',
    node: '/sys/class/pwm/pwmchip0',
    pins: [
      ['GPIO18', 'PWM0'],
      ['GPIO19', 'PWM1'],
    ],
    enable: [configLine('dtoverlay=pwm-2chan', 'dtoverlay=pwm')],
    note: 'pins 12 and 13 instead: dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4',
  },
]

export const EXTRA_UART_TRAP =
  'The numbers of uart2 to uart5 as /dev/ttyAMAn count by what is switched on in older kernels: `clasp-edge board` tells.'
