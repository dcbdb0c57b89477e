import { basename } from 'node:path'
import type { Board } from '../../boards/board.ts'
import { chipNodes } from '../../boards/chip-nodes.ts'
import type { HeaderPin } from '../../devices/io/line-name.ts'

/**
 * The header pins of a board as the finder of lines takes them; none of a board that nobody has described. `root` stands
 * for `/`. Never rejects.
 */
export async function boardPins(board: Board, root = '/'): Promise<HeaderPin[]> {
  const nodes = await chipNodes(board, root)
  // Labels of a BeagleBone's chips move with the order in which they start: where a chip sits, it stays.
  const nodeOf = (id: string) => (nodes.size === 0 ? undefined : basename(nodes.get(id) ?? ''))
  return board.headers.flatMap(({ pins }) =>
    pins.map(({ number, name, line, lineNames }) => {
      const chip = board.chips.find(({ id }) => id === line?.chip)
      if (line === undefined || chip === undefined) return { number, name }
      const place = { chip: nodeOf(chip.id), label: chip.label, offset: line.offset }
      return { number, name, line: { names: lineNames, ...place } }
    }),
  )
}
