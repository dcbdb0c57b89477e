import { bcm2837Buses, bcm2837Chips } from './bcm2837.ts'
import { defineBoard } from './board.ts'
import { BLUETOOTH_UART_TRAP, RASPBERRY_PI_TRAPS } from './raspberry-pi-buses.ts'
import { raspberryPiHeader } from './raspberry-pi-header.ts'

/** Source: raspberrypi.com/documentation; the vendor's bcm2710-rpi-zero-2-w.dts. */
export const raspberryPiZero2W = defineBoard({
  id: 'raspberry-pi-zero-2',
  title: 'Raspberry Pi Zero 2 W',
  models: /^Raspberry Pi Zero 2/,
  compatible: ['raspberrypi,model-zero-2-w', 'raspberrypi,model-zero-2'],
  headers: [raspberryPiHeader],
  chips: bcm2837Chips,
  buses: bcm2837Buses,
  leds: [['ACT', 'led0']],
  watchdog: { node: '/dev/watchdog0', maxTimeoutSeconds: 15 },
  bootFilters: ['pi0', 'pi0w', 'pi02'],
  traps: [...RASPBERRY_PI_TRAPS, BLUETOOTH_UART_TRAP],
})
