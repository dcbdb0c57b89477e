import type { Header, Line, Pin } from './board.ts'

/** What the names of a header mean. */
export interface HeaderNames {
  /** Undefined: no line. */
  lineOf(name: string): Line | undefined
  /** What kernels call the line, if not by its name. */
  lineNamesOf?(name: string): readonly string[]
}

/** A header from the names of its pins: a row of the text is a row of the board, numbers ascending. */
export function header(name: string, rows: string, { lineOf, lineNamesOf }: HeaderNames): Header {
  const pins = rows
    .trim()
    .split(/\s+/)
    .map((pin, i): Pin => {
      const line = lineOf(pin)
      const lineNames = line === undefined ? [] : (lineNamesOf?.(pin) ?? [])
      return {
        header: name,
        number: i + 1,
        name: pin,
        kind: line === undefined ? kindOf(pin) : 'line',
        line,
        lineNames,
      }
    })
  return { name, pins }
}

function kindOf(name: string): Pin['kind'] {
  if (/^A?GND/.test(name)) return 'ground'
  if (/^(\dV\d?|VDD|SYS_5V|VADC)/.test(name)) return 'power'
  if (/^A(IN|DC)/.test(name)) return 'analog'
  return name === '-' ? 'unused' : 'control'
}
