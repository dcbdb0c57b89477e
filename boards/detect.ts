import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Board } from './board.ts'
import { genericLinux } from './generic-linux.ts'
import { boardKinds } from './index.ts'
import { simulatedBoard } from './simulated.ts'

/** Where Linux shows the device tree of a machine that has one; the first is a link to the second where it exists. */
const TREES = ['proc/device-tree', 'sys/firmware/devicetree/base']

/**
 * The board under this process. Machines without a device tree (laptops, servers, containers) get the simulated board.
 * `root` stands for `/`. Never rejects.
 */
export async function detectBoard(root = '/'): Promise<Board> {
  for (const tree of TREES) {
    const [model = ''] = await texts(join(root, tree, 'model'))
    const compatible = await texts(join(root, tree, 'compatible'))
    if (model === '' && compatible.length === 0) continue
    for (const kind of boardKinds) {
      const board = kind.match(model, compatible)
      if (board !== undefined) return board
    }
    return genericLinux(model === '' ? compatible[0] : model)
  }
  return simulatedBoard
}

/** The board with this id, as its data file has it; undefined when there is none. */
export function boardById(id: string): Board | undefined {
  return describedBoards().find((board) => board.id === id)
}

/** The boards with a data file. */
export function boardIds(): string[] {
  return describedBoards().map(({ id }) => id)
}

function describedBoards(): Board[] {
  const described = boardKinds.map(({ board }) => board).filter(({ headers }) => headers.length > 0)
  return [...described, genericLinux('Some board with Linux'), simulatedBoard]
}

/** Strings of a property, each ended by a zero. */
async function texts(path: string): Promise<string[]> {
  // A property that is not there and one that may not be read (containers) mean the same: unknown.
  const content = await readFile(path, 'utf8').catch(() => '')
  return content
    .split('\0')
    .map((text) => text.trim())
    .filter((text) => text !== '')
}
