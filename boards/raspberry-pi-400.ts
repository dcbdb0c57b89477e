import { bcm2711Buses, bcm2711Chips, EXTRA_UART_TRAP } from './bcm2711.ts'
import { defineBoard } from './board.ts'
import { BLUETOOTH_UART_TRAP, RASPBERRY_PI_TRAPS } from './raspberry-pi-buses.ts'
import { raspberryPiHeader } from './raspberry-pi-header.ts'

/** The one in a keyboard. Source: raspberrypi.com/documentation; the vendor's bcm2711-rpi-400.dts. */
export const raspberryPi400 = defineBoard({
  id: 'raspberry-pi-400',
  title: 'Raspberry Pi 400',
  models: /^Raspberry Pi 400/,
  compatible: ['raspberrypi,400'],
  headers: [raspberryPiHeader],
  chips: bcm2711Chips,
  buses: bcm2711Buses,
  leds: [['PWR', 'led1']],
  watchdog: { node: '/dev/watchdog0', maxTimeoutSeconds: 15 },
  bootFilters: ['pi4', 'pi400'],
  traps: [
    ...RASPBERRY_PI_TRAPS,
    BLUETOOTH_UART_TRAP,
    EXTRA_UART_TRAP,
    'There is no activity LED; the only one is the power LED in the keyboard.',
  ],
})
