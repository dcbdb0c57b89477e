import type { Board } from './board.ts'

/** What a laptop or a server runs, so that signals move without hardware. */
export const simulatedBoard: Board = { id: 'simulated', model: 'Simulated board', isSimulated: true }
