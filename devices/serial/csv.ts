import { choice, flag, text } from '../options.ts'
import { textFieldsKind } from './text-fields-kind.ts'

const DELIMITERS = { comma: ',', semicolon: ';', tab: '\t', space: ' ', pipe: '|' } as const

/** Anything that sends its values in columns: `21.5;48;1013`. Quotes as in RFC 4180. */
export const csv = textFieldsKind({
  kind: 'csv',
  description: 'Values in columns, separated by commas or the like, at a serial port.',
  expected: 'line with values in columns',
  options: {
    delimiter: choice('What is between the columns; several blanks count as one.', 'comma', [
      'comma',
      'semicolon',
      'tab',
      'space',
      'pipe',
    ]),
    decimalComma: flag('Numbers are written 21,5.', false),
    heading: flag('A line before the values says what the columns are; it may come again.', false),
  },
  columns: { column: text('Its number, 1 for the first column, or its heading; its name when left out.') },
  check: ({ delimiter, decimalComma, heading }, fields) => {
    if (decimalComma && delimiter === 'comma') return 'decimalComma and delimiter: comma contradict each other'
    const named = fields.find(({ name, column = name }) => numberOf(column) === undefined)
    if (named === undefined || heading) return undefined
    return `fields: ${named.name} has no number of a column, and there is no heading: set column, or heading: true`
  },
  reader: ({ delimiter, decimalComma, heading }, fields) => {
    const wanted = fields.map(({ name, column = name }) => column)
    const headings = wanted.filter((column) => numberOf(column) === undefined)
    /** Of each field, from 0; undefined: the heading has not come yet. */
    let places = headings.length > 0 ? undefined : wanted.map((column) => Number(column) - 1)
    return (line) => {
      const cells = cellsOf(line, DELIMITERS[delimiter])
      const names = cells.map((cell) => cell.trim())
      if (heading && isHeading(names, headings, places === undefined)) {
        places = wanted.map((column) => (numberOf(column) ?? names.indexOf(column) + 1) - 1)
        return null
      }
      if (places === undefined) return null
      const told = places.map((place) => cells[place])
      if (told.every((cell) => cell === undefined)) return `it has ${cells.length} columns: set delimiter and column`
      return told.map((cell, at) => {
        if (cell === undefined || fields[at].type === 'text') return cell
        return decimalComma ? cell.trim().replace(',', '.') : cell.trim()
      })
    }
  },
})

/** Of a column that is named by its number, 1 and more. */
function numberOf(column: string): number | undefined {
  return /^[1-9]\d{0,2}$/.test(column) ? Number(column) : undefined
}

/** With headings that are looked for, a line that has them all; else one without any number. */
function isHeading(cells: readonly string[], headings: readonly string[], isAwaited: boolean): boolean {
  if (headings.length > 0) return headings.every((heading) => cells.includes(heading))
  return !isAwaited && cells.every((cell) => !/\d/.test(cell))
}

function cellsOf(line: string, delimiter: string): string[] {
  if (delimiter === ' ') return line.trim().split(/ +/)
  if (!line.includes('"')) return line.split(delimiter)
  const cells: string[] = []
  for (let at = 0; at <= line.length; ) {
    const quoted = /^\s*"((?:[^"]|"")*)"\s*/.exec(line.slice(at))
    const behind = at + (quoted?.[0].length ?? 0)
    if (quoted !== null && (behind === line.length || line[behind] === delimiter)) {
      cells.push(quoted[1].replaceAll('""', '"'))
      at = behind + 1
    } else {
      const end = line.indexOf(delimiter, at)
      cells.push(line.slice(at, end === -1 ? line.length : end))
      at = end === -1 ? line.length + 1 : end + 1
    }
  }
  return cells
}
