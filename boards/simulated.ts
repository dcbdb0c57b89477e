import type { Board } from './board.ts'
import { raspberryPiHeader } from './raspberry-pi-header.ts'

/** What a laptop or a server runs, so that signals move without hardware. Has the pins of a Raspberry Pi. */
export const simulatedBoard: Board = {
  id: 'simulated',
  model: 'Simulated board',
  isSimulated: true,
  headers: [raspberryPiHeader],
  chips: [{ id: 'gpio', label: 'simulated', address: '', lines: 28 }],
  buses: [],
  leds: [],
  traps: [],
}
