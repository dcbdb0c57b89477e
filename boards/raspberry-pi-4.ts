import { bcm2711Buses, bcm2711Chips, EXTRA_UART_TRAP } from './bcm2711.ts'
import { defineBoard } from './board.ts'
import { BLUETOOTH_UART_TRAP, RASPBERRY_PI_TRAPS } from './raspberry-pi-buses.ts'
import { raspberryPiHeader } from './raspberry-pi-header.ts'

/** Source: raspberrypi.com/documentation; the vendor's bcm2711-rpi-4-b.dts. */
export const raspberryPi4 = defineBoard({
  id: 'raspberry-pi-4',
  title: 'Raspberry Pi 4',
  models: /^Raspberry Pi 4 Model/,
  compatible: ['raspberrypi,4-model-b'],
  headers: [raspberryPiHeader],
  chips: bcm2711Chips,
  buses: bcm2711Buses,
  leds: [
    ['ACT', 'led0'],
    ['PWR', 'led1'],
  ],
  watchdog: { node: '/dev/watchdog0', maxTimeoutSeconds: 15 },
  bootFilters: ['pi4'],
  traps: [...RASPBERRY_PI_TRAPS, BLUETOOTH_UART_TRAP, EXTRA_UART_TRAP],
})
