import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Board } from './board.ts'
import { genericLinux } from './generic-linux.ts'
import { boardKinds } from './index.ts'
import { simulatedBoard } from './simulated.ts'

/** Where Linux shows the model of a machine that has a device tree; the first is a link to the second where it exists. */
const MODEL_FILES = ['proc/device-tree/model', 'sys/firmware/devicetree/base/model']

/**
 * The board under this process. Machines without a device tree (laptops, servers, containers) get the simulated board.
 * `root` stands for `/`. Never rejects.
 */
export async function detectBoard(root = '/'): Promise<Board> {
  for (const path of MODEL_FILES) {
    // A property that is not there and one that may not be read (containers) mean the same: unknown.
    const text = await readFile(join(root, path), 'utf8').catch(() => '')
    const model = text.split('\0', 1)[0].trim()
    if (model === '') continue
    for (const kind of boardKinds) {
      const board = kind.match(model)
      if (board !== undefined) return board
    }
    return genericLinux(model)
  }
  return simulatedBoard
}
