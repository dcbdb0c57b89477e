import type { BoardKind } from './board.ts'
import { raspberryPi } from './raspberry-pi.ts'

/** The boards that are known by name. The first that matches counts. */
export const boardKinds: readonly BoardKind[] = [raspberryPi]
