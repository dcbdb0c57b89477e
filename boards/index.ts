import { beagleboneBlack } from './beaglebone-black.ts'
import type { BoardKind } from './board.ts'
import { orangePiZero2W } from './orange-pi-zero-2w.ts'
import { raspberryPi } from './raspberry-pi.ts'
import { raspberryPi3 } from './raspberry-pi-3.ts'
import { raspberryPi4 } from './raspberry-pi-4.ts'
import { raspberryPi5 } from './raspberry-pi-5.ts'
import { raspberryPi400 } from './raspberry-pi-400.ts'
import { raspberryPiCm4 } from './raspberry-pi-cm4.ts'
import { raspberryPiZero2W } from './raspberry-pi-zero-2-w.ts'
import { rock4 } from './rock-4.ts'

/** The boards that are known by name. The first that matches counts. */
export const boardKinds: readonly BoardKind[] = [
  raspberryPiZero2W,
  raspberryPi3,
  raspberryPi4,
  raspberryPi400,
  raspberryPiCm4,
  raspberryPi5,
  raspberryPi,
  beagleboneBlack,
  orangePiZero2W,
  rock4,
]
