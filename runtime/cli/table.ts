import { printable, type Terminal } from './terminal.ts'

export interface Column {
  title: string
  align?: 'left' | 'right'
  /** Longer texts are cut. */
  maxWidth?: number
}

/** Lines of a table as wide as its contents, the titles first. */
export function tableLines(
  terminal: Terminal,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] {
  const cells = rows.map((row) => row.map((text, i) => cut(printable(text), columns[i].maxWidth)))
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...cells.map((row) => row[i].length)))
  const line = (texts: readonly string[]) =>
    texts
      .map((text, i) => (columns[i].align === 'right' ? text.padStart(widths[i]) : text.padEnd(widths[i])))
      .join('  ')
      .trimEnd()
  return [terminal.paint('bold', line(columns.map(({ title }) => title))), ...cells.map(line)]
}

export function cut(text: string, width = Number.POSITIVE_INFINITY): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}
