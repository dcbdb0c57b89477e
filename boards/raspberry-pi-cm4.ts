import { bcm2711Buses, bcm2711Chips, EXTRA_UART_TRAP } from './bcm2711.ts'
import { defineBoard } from './board.ts'
import { BLUETOOTH_UART_TRAP, RASPBERRY_PI_TRAPS } from './raspberry-pi-buses.ts'
import { raspberryPiHeader } from './raspberry-pi-header.ts'

/** The header is that of the vendor's carrier board. Source: CM4 and CM4 IO board data sheets, bcm2711-rpi-cm4.dts. */
export const raspberryPiCm4 = defineBoard({
  id: 'raspberry-pi-cm-4',
  title: 'Raspberry Pi Compute Module 4',
  models: /^Raspberry Pi Compute Module 4(?!S)/,
  compatible: ['raspberrypi,4-compute-module'],
  headers: [raspberryPiHeader],
  chips: bcm2711Chips,
  buses: bcm2711Buses,
  leds: [
    ['ACT', 'led0'],
    ['PWR', 'led1'],
  ],
  watchdog: { node: '/dev/watchdog0', maxTimeoutSeconds: 15 },
  bootFilters: ['pi4', 'cm4'],
  traps: [
    ...RASPBERRY_PI_TRAPS,
    BLUETOOTH_UART_TRAP,
    EXTRA_UART_TRAP,
    'What is on which pin is up to the carrier board: this is the header of the vendor’s IO board.',
    'USB 2.0 is off unless config.txt has dtoverlay=dwc2,dr_mode=host or otg_mode=1.',
  ],
})
