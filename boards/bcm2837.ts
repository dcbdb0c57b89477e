import type { Bus, GpioChip } from './board.ts'
import { fullUart, miniUart, pwm, raspberryPiCommonBuses } from './raspberry-pi-buses.ts'

/** The system chip of the Raspberry Pi 3 and Zero 2 W. Source: BCM2835 ARM peripherals, the vendor's bcm283x.dtsi. */

export const bcm2837Chips: readonly GpioChip[] = [
  { id: 'gpio', label: 'pinctrl-bcm2835', address: '3f200000', lines: 54 },
]

export const bcm2837Buses: readonly Bus[] = [
  ...raspberryPiCommonBuses({ i2c1: '3f804000', spi0: '3f204000', spi1: '3f215080' }),
  miniUart('3f215040'),
  fullUart('3f201000', 'dtoverlay=disable-bt', 'dtoverlay=pi3-disable-bt', 'dtoverlay=miniuart-bt'),
  pwm('3f20c000'),
]

export const PWM_AUDIO_TRAP = 'The audio jack is made with both PWM channels: with PWM on the header, switch audio off.'
