import { bcm2837Buses, bcm2837Chips, PWM_AUDIO_TRAP } from './bcm2837.ts'
import { defineBoard } from './board.ts'
import { BLUETOOTH_UART_TRAP, RASPBERRY_PI_TRAPS } from './raspberry-pi-buses.ts'
import { raspberryPiHeader } from './raspberry-pi-header.ts'

/** Models A+, B and B+. Source: raspberrypi.com/documentation; the vendor's bcm2710-rpi-3-b.dts. */
export const raspberryPi3 = defineBoard({
  id: 'raspberry-pi-3',
  title: 'Raspberry Pi 3',
  models: /^Raspberry Pi 3 Model/,
  compatible: ['raspberrypi,3-model-b', 'raspberrypi,3-model-b-plus', 'raspberrypi,3-model-a-plus'],
  headers: [raspberryPiHeader],
  chips: bcm2837Chips,
  buses: bcm2837Buses,
  leds: [
    ['ACT', 'led0'],
    ['PWR', 'led1'],
  ],
  watchdog: { node: '/dev/watchdog0', maxTimeoutSeconds: 15 },
  bootFilters: ['pi3', 'pi3+'],
  traps: [...RASPBERRY_PI_TRAPS, BLUETOOTH_UART_TRAP, PWM_AUDIO_TRAP],
})
