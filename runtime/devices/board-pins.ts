import type { Board } from '../../boards/board.ts'
import type { HeaderPin } from '../../devices/io/line-name.ts'

/** The header pins of a board as the finder of lines takes them; none of a board that nobody has described. */
export function boardPins({ headers, chips }: Pick<Board, 'headers' | 'chips'>): HeaderPin[] {
  return headers.flatMap(({ pins }) =>
    pins.map(({ number, name, line, lineNames }) => {
      const chip = chips.find(({ id }) => id === line?.chip)
      if (line === undefined || chip === undefined) return { number, name }
      return { number, name, line: { names: lineNames, label: chip.label, offset: line.offset } }
    }),
  )
}
