import type { Bus, GpioChip } from './board.ts'
import { fullUart, miniUart, pair, pwm, raspberryPiCommonBuses } from './raspberry-pi-buses.ts'

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
  miniUart('fe215040'),
  fullUart('fe201000', 'dtoverlay=disable-bt', 'dtoverlay=miniuart-bt'),
  uart(2, 'fe201400', [0, 1]),
  uart(3, 'fe201600', [4, 5]),
  uart(4, 'fe201800', [8, 9]),
  uart(5, 'fe201a00', [12, 13]),
  pwm('fe20c000'),
]

export const EXTRA_UART_TRAP =
  'The numbers of uart2 to uart5 as /dev/ttyAMAn count by what is switched on in older kernels: `clasp-edge board` tells.'
