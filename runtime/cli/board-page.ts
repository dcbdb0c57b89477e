import type { Header, Pin } from '../../boards/board.ts'
import { enableWith, isAsked } from '../../boards/boot-config.ts'
import type { BusState } from '../../boards/bus-states.ts'
import { type BoardView, pinFunctions, pinUser } from './board-view.ts'
import { cut, tableLines } from './table.ts'
import { printable, type Style, type Terminal } from './terminal.ts'

const MAX_USER = 22

const STYLES: Readonly<Record<Pin['kind'], Style>> = {
  line: 'green',
  power: 'red',
  ground: 'dim',
  analog: 'yellow',
  control: 'yellow',
  unused: 'dim',
}

/** A text that is coloured after its width is settled. */
interface Cell {
  text: string
  style?: Style
}

/** The headers as they look on the board, and everything that is known about the board. */
export function boardLines(terminal: Terminal, view: BoardView): string[] {
  const { board, busy, isHere } = view
  const lines = [`${terminal.paint('bold', printable(board.model))} (${board.id})`]
  for (const chip of board.chips.filter(({ address }) => address !== '')) {
    const node = isHere ? `${view.chips.get(chip.id) ?? 'not there'}, ` : ''
    lines.push(`${chip.id}: ${node}${chip.label} at ${chip.address}, ${chip.lines} lines`)
  }
  for (const header of board.headers) lines.push('', ...headerLines(terminal, view, header))
  if (board.headers.length > 0 && busy === undefined && isHere && !board.isSimulated) {
    lines.push(terminal.paint('dim', 'which programs have lines, only root can see: sudo clasp-edge board'))
  }
  if (board.buses.length > 0) lines.push('', ...busLines(terminal, view))
  const others = [
    ...board.leds.map((names) => `LED: ${names.map((name) => `/sys/class/leds/${name}`).join(' or ')}`),
    ...(board.watchdog === undefined ? [] : [watchdogText(board.watchdog)]),
  ]
  if (others.length > 0) lines.push('', ...others)
  if (board.traps.length > 0) lines.push('', terminal.paint('bold', 'good to know'))
  return [...lines, ...board.traps.map((trap) => `- ${trap}`)]
}

function headerLines(terminal: Terminal, view: BoardView, { name, pins }: Header): string[] {
  const rows = Array.from({ length: Math.ceil(pins.length / 2) }, (_, i) => {
    const [left, right] = [pins[2 * i], pins[2 * i + 1]]
    return [...pinCells(view, left).reverse(), ...pinCells(view, right)]
  })
  const half = ['USED BY', 'CAN BE', name, '']
  const titles = [...half, ...half.toReversed()]
  const isEmpty = (i: number) => rows.every((row) => row[i].text === '')
  // Both sides have the same columns, so that the pins stay in the middle.
  const isShown = titles.map((_, i) => !isEmpty(i) || !isEmpty(titles.length - 1 - i))
  const widths = titles.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].text.length)))
  const pad = (text: string, i: number) => (i < half.length ? text.padStart(widths[i]) : text.padEnd(widths[i]))
  const line = (texts: readonly string[]) =>
    texts
      .filter((_, i) => isShown[i])
      .join(' ')
      .trimEnd()
  const body = rows.map((row) =>
    line(row.map(({ text, style }, i) => (style === undefined ? pad(text, i) : terminal.paint(style, pad(text, i))))),
  )
  return [terminal.paint('bold', line(titles.map(pad))), ...body]
}

/** From the pin outwards. */
function pinCells(view: BoardView, pin: Pin | undefined): Cell[] {
  if (pin === undefined) return [{ text: '' }, { text: '' }, { text: '' }, { text: '' }]
  const style = STYLES[pin.kind]
  const functions = pinFunctions(view, pin)
  const active = functions.filter(({ isOn }) => isOn)
  const shown =
    active.length > 0 ? active.map(({ bus, role }) => `${bus.name} ${role}`) : functions.map(({ bus }) => bus.name)
  const user = pinUser(view, pin)
  return [
    { text: String(pin.number), style: 'bold' },
    { text: pin.name, style },
    { text: shown.join(' '), style: active.length > 0 ? 'cyan' : 'dim' },
    { text: user === undefined ? '' : cut(printable(user), MAX_USER), style: 'yellow' },
  ]
}

function busLines(terminal: Terminal, view: BoardView): string[] {
  const columns = [
    { title: 'BUS' },
    ...(view.isHere ? [{ title: 'STATE' }] : []),
    { title: 'OPEN AS' },
    { title: 'PINS', maxWidth: 60 },
    { title: 'SWITCHED ON WITH' },
  ]
  const rows = view.buses.map((state) => {
    const { bus } = state
    const pins = bus.pins.map(([pin, role]) => `${role} ${pin}`).join(', ')
    const word = view.isHere ? [stateWord(view, state)] : []
    return [bus.name, ...word, state.nodes.join(' ') || bus.node, pins, enableText(view, state)]
  })
  const notes = view.board.buses.flatMap(({ name, note }) => (note === undefined ? [] : [`- ${name}: ${note}`]))
  return [...tableLines(terminal, columns, rows), ...notes]
}

function stateWord({ boot }: BoardView, { bus, isOn, nodes }: BusState): string {
  if (isOn) return nodes.length > 0 ? 'on' : 'on, no node'
  const enable = boot === undefined ? undefined : enableWith(boot, bus)
  return boot !== undefined && enable !== undefined && isAsked(boot, enable) ? 'after a restart' : 'off'
}

function enableText({ boot }: BoardView, { bus }: BusState): string {
  if (bus.enable.length === 0) return 'always on'
  const enable = boot === undefined ? undefined : enableWith(boot, bus)
  if (boot !== undefined && enable !== undefined) return `${enable.line} in ${boot.path}`
  return bus.enable.map(({ file, line }) => `${line} in ${file}`).join(' or ')
}

function watchdogText({ node, maxTimeoutSeconds }: { node: string; maxTimeoutSeconds?: number }): string {
  return `watchdog: ${node}${maxTimeoutSeconds === undefined ? '' : `, at most ${maxTimeoutSeconds} s`}`
}

/** Everything as one object, for programs. */
export function boardJson(view: BoardView): string {
  const { board, boot } = view
  return JSON.stringify({
    id: board.id,
    model: board.model,
    isSimulated: board.isSimulated,
    chips: board.chips.map((chip) => ({ ...chip, node: view.chips.get(chip.id) })),
    headers: board.headers.map(({ name, pins }) => ({
      name,
      pins: pins.map((pin) => ({
        number: pin.number,
        name: pin.name,
        kind: pin.kind,
        line: pin.line,
        otherLine: pin.otherLine,
        lineNames: pin.lineNames,
        functions: pinFunctions(view, pin).map(({ bus, role, isOn }) => ({ bus: bus.name, role, isOn })),
        usedBy: pinUser(view, pin),
      })),
    })),
    buses: view.buses.map((state) => {
      const enable = boot === undefined ? undefined : enableWith(boot, state.bus)
      const isAskedFor = boot === undefined || enable === undefined ? undefined : isAsked(boot, enable)
      return { ...state.bus, isOn: state.isOn, nodes: state.nodes, isAskedFor }
    }),
    boot: boot?.path,
    leds: board.leds,
    watchdog: board.watchdog,
    traps: board.traps,
  })
}
