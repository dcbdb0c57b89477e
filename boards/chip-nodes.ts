import { readdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { Board } from './board.ts'

/** Nodes of the board's chips (`/dev/gpiochip0`) by their ids; those that the kernel does not have are missing. Never rejects. */
export async function chipNodes(board: Board, root = '/'): Promise<Map<string, string>> {
  const nodes = new Map<string, string>()
  const folder = join(root, 'sys/bus/gpio/devices')
  for (const name of await readdir(folder).catch(() => [])) {
    const path = await realpath(join(folder, name)).catch(() => '')
    const chip = board.chips.find(({ address }) => sitsAt(path, address))
    if (chip !== undefined) nodes.set(chip.id, `/dev/${name}`)
  }
  return nodes
}

/** Whether a path below /sys belongs to the controller at this address of the memory map. */
export function sitsAt(path: string, address: string | undefined): boolean {
  if (address === undefined || address === '') return false
  return path.split('/').some((part) => part.startsWith(`${address}.`))
}
