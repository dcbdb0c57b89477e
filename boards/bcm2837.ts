import type { Bus, GpioChip } from './board.ts'
import { configLine, raspberryPiCommonBuses } from './raspberry-pi-buses.ts'

/** The system chip of the Raspberry Pi 3 and Zero 2 W. Source: BCM2835 ARM peripherals, the vendor's bcm283x.dtsi. */

export const bcm2837Chips: readonly GpioChip[] = [
  { id: 'gpio', label: 'pinctrl-bcm2835', address: '3f200000', lines: 54 },
]

export const bcm2837Buses: readonly Bus[] = [
  ...raspberryPiCommonBuses({ i2c1: '3f804000', spi0: '3f204000', spi1: '3f215080' }),
  {
    kind: 'uart',
    name: 'uart1',
    address: '3f215040',
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
    address: '3f201000',
    node: '/dev/ttyAMA0',
    pins: [
      ['GPIO14', 'TXD'],
      ['GPIO15', 'RXD'],
    ],
    enable: [configLine('dtoverlay=disable-bt', 'dtoverlay=pi3-disable-bt', 'dtoverlay=miniuart-bt')],
    needsLine: true,
    note: 'the full UART, taken from Bluetooth',
  },
  {
    kind: 'pwm',
    name: 'pwm',
    address: '3f20c000',
    node: '/sys/class/pwm/pwmchip0',
    pins: [
      ['GPIO18', 'PWM0'],
      ['GPIO19', 'PWM1'],
    ],
    enable: [configLine('dtoverlay=pwm-2chan', 'dtoverlay=pwm')],
    note: 'pins 12 and 13 instead: dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4',
  },
]

export const PWM_AUDIO_TRAP = 'The audio jack is made with both PWM channels: with PWM on the header, switch audio off.'
