import { type MonitorTable, SORTS } from './monitor-table.ts'
import { printable, type Terminal } from './terminal.ts'

/** Alternate screen on, cursor off; and back. */
const ENTER = '\x1b[?1049h\x1b[?25l'
const LEAVE = '\x1b[?25h\x1b[?1049l'
const HOME = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_REST = '\x1b[J'

const CTRL_C = '\x03'
const ESCAPE = '\x1b'
const BACKSPACES = ['\x7f', '\b']

/** The full-screen view of a table, and its keys. The terminal is as before after `close`, and whenever the process ends. */
export class MonitorScreen {
  /** Shown in the first line. */
  title = ''
  private readonly terminal: Terminal
  private readonly table: MonitorTable
  private readonly onQuit: () => void
  private isTyping = false
  private readonly restore = () => {
    this.terminal.raw(LEAVE)
    if (this.hasKeys) this.terminal.input.setRawMode(false)
  }
  private readonly onKeys = (keys: string) => this.key(keys)

  constructor(terminal: Terminal, table: MonitorTable, onQuit: () => void) {
    this.terminal = terminal
    this.table = table
    this.onQuit = onQuit
    process.on('exit', this.restore)
    terminal.raw(ENTER)
    if (!this.hasKeys) return
    terminal.input.setRawMode(true)
    terminal.input.setEncoding('utf8')
    terminal.input.on('data', this.onKeys)
  }

  /** Rows of the table that fit. */
  get capacity(): number {
    return Math.max(1, this.terminal.rows - 3)
  }

  draw(now: number): void {
    const { terminal, table } = this
    const { columns } = terminal
    const filter = this.isTyping ? `filter: ${table.filter}_` : table.filter === '' ? '' : `filter: ${table.filter}`
    const hidden = table.hiddenUpdates === 0 ? '' : '  too many addresses: some are not shown'
    const lines = [
      `${this.title}  ${table.size} addresses  ${printable(filter)}${hidden}`.slice(0, columns),
      ...table.lines(terminal, columns, this.capacity, now),
    ]
    const keys = this.hasKeys ? 'q quit   / filter   s sort' : 'Ctrl-C quit'
    const body = lines.map((line) => line + CLEAR_LINE).join('\r\n')
    const foot = terminal.paint('dim', keys.slice(0, columns))
    terminal.raw(`${HOME}${body}\r\n${CLEAR_REST}\x1b[${terminal.rows};1H${foot}${CLEAR_LINE}`)
  }

  close(): void {
    process.off('exit', this.restore)
    this.terminal.input.off('data', this.onKeys)
    if (this.hasKeys) this.terminal.input.pause()
    this.restore()
  }

  private get hasKeys(): boolean {
    return this.terminal.input.isTTY === true
  }

  private key(keys: string): void {
    // A terminal sends the escape sequence of a key in one piece; none of them has a meaning here.
    if (keys.startsWith(ESCAPE) && keys.length > 1) return
    for (const key of keys) {
      if (key === CTRL_C) this.onQuit()
      else if (this.isTyping) this.typed(key)
      else if (key === 'q') this.onQuit()
      else if (key === '/') this.isTyping = true
      else if (key === 's') this.table.sort = SORTS[(SORTS.indexOf(this.table.sort) + 1) % SORTS.length]
    }
    this.draw(performance.now())
  }

  private typed(key: string): void {
    if (key === '\r' || key === '\n') this.isTyping = false
    else if (key === ESCAPE) {
      this.isTyping = false
      this.table.filter = ''
    } else if (BACKSPACES.includes(key)) this.table.filter = this.table.filter.slice(0, -1)
    else if (key >= ' ') this.table.filter += key
  }
}
