import type { PortReport } from '../../firmware/serial-lines.ts'
import { SerialError } from '../../transports/serial-error.ts'
import { serialPortHolder } from '../../transports/serial-holder.ts'
import { listSerialPorts, type SerialPortInfo } from '../../transports/serial-ports.ts'
import { findSerialPort, parsePortSelector } from '../../transports/serial-selector.ts'
import { defineCommand, UsageError } from '../command.ts'
import { knownUsb } from '../firmware-boards.ts'
import { FirmwarePages, type FirmwareReport, pageOptions } from '../firmware-pages.ts'
import { isHeld, knownPort } from '../firmware-target.ts'
import { jsonLine } from '../json-line.ts'
import { wholeOption } from '../option-values.ts'
import { tableLines } from '../table.ts'

const DEFAULT_BAUD = 115_200
/** A board that was restarted by the opening is heard within it. */
const PROBE_MS = 2500

/** One line of the list. */
interface PortRow {
  info: SerialPortInfo
  /** What the router says of it. */
  held?: PortReport
  /** The state in a word, as the router has it, or: free, busy, link, slip, raw, text, silent, failed. */
  state: string
  /** For people. */
  words: string
  device?: string
}

export const firmwarePorts = defineCommand({
  usage: '[PORT…]',
  args: [0, 100],
  details:
    'Lists the serial ports of this machine: what is plugged in, who has it open, and what speaks there. A running router\n' +
    'is asked about the ports that it serves. --probe opens the others for 2.5 s and asks who is there: opening a port\n' +
    'restarts most Arduino boards. PORT: only these, by path or as usb:VENDOR[:PRODUCT[:SERIAL]].',
  options: {
    probe: {
      type: 'boolean',
      help: 'Open the ports that nobody has, and see what speaks there. Restarts some boards.',
    },
    baud: { type: 'string', value: 'N', help: `Speed for --probe. Default: ${DEFAULT_BAUD}` },
    json: { type: 'boolean', help: 'One object a line.' },
    ...pageOptions,
  },
  examples: [
    ['firmware ports', 'what is plugged in?'],
    ['firmware ports --probe', 'and what speaks there?'],
  ],
  async run({ values, args, terminal }) {
    const baudRate = wholeOption(values.baud, '--baud', 50, 4_000_000) ?? DEFAULT_BAUD
    const pages = await FirmwarePages.of(values)
    const [infos, report] = await Promise.all([portsNamed(args), pages.reportIfThere()])
    if (report !== undefined && args.length === 0) infos.push(...(await elsewhere(report, infos)))
    const rows = await Promise.all(infos.map((info) => rowOf(info, report, values.probe ? baudRate : undefined)))
    if (values.json) {
      for (const row of rows) terminal.line(rowJson(row))
      return 0
    }
    if (rows.length === 0) terminal.note('this machine has no serial ports: plug a board in')
    else for (const line of tableLines(terminal, COLUMNS, rows.map(rowCells))) terminal.line(line)
    if (report === undefined) terminal.note(`no router was asked: none runs at ${pages.place}, or it serves no devices`)
    if (!values.probe && rows.some(({ state }) => state === 'free')) {
      terminal.note('--probe opens the free ones and sees what speaks there; that restarts some boards')
    }
    return 0
  },
})

async function portsNamed(words: readonly string[]): Promise<SerialPortInfo[]> {
  if (words.length === 0) return listSerialPorts()
  return Promise.all(
    words.map(async (word) => {
      const selector = parsePortSelector(word)
      if (selector === undefined) throw new UsageError(`"${word}" is no port: expected a path, or usb:2341:0043`)
      const found = await findSerialPort(selector)
      if (found instanceof SerialError) throw found
      return found
    }),
  )
}

/** Ports of the router's configuration that are not in the list: links, pseudo-terminals, and what is not plugged in. */
async function elsewhere(report: FirmwareReport, infos: readonly SerialPortInfo[]): Promise<SerialPortInfo[]> {
  const listed = await Promise.all(infos.map(({ path }) => knownPort(report, path)))
  return report.ports
    .filter((port) => !listed.includes(port))
    .map(({ selector, path }) => ({ path: path || selector, isUsb: false }))
}

async function rowOf(info: SerialPortInfo, report: FirmwareReport | undefined, probeBaud?: number): Promise<PortRow> {
  const held = report === undefined ? undefined : await knownPort(report, info.path)
  if (held !== undefined && isHeld(held)) {
    const device = report?.devices.find(({ uid }) => uid === held.device)
    const words = { link: `link: ${device?.name ?? 'a device'}`, slip: 'CLASP in SLIP', raw: 'bare CLASP frames' }
    const spoken = words[held.state as keyof typeof words] ?? 'nothing that is known so far'
    return { info, held, state: held.state, words: `${spoken} (served by the router)`, device: device?.uid }
  }
  if (held !== undefined) {
    const words = held.error ?? (held.state === 'absent' ? 'not plugged in' : 'the router is opening it')
    return { info, held, state: held.state, words: `router: ${words}` }
  }
  const holder = await serialPortHolder(info.path)
  if (holder !== undefined) return { info, state: 'busy', words: `in use by ${holder}` }
  return probeBaud === undefined ? { info, state: 'free', words: 'free' } : probe(info, probeBaud)
}

async function probe(info: SerialPortInfo, baudRate: number): Promise<PortRow> {
  const { openOwnPort } = await import('../firmware-own-port.ts')
  try {
    const port = await openOwnPort(info.path, baudRate)
    const [device] = await heard(port)
    const { mode, bytesIn, textLines } = port
    await port.close()
    if (mode === 'link' && device !== undefined) {
      const firmware = device.firmware === undefined ? '' : `, firmware ${device.firmware}`
      return { info, state: 'link', words: `link: ${device.name}${firmware}`, device: device.uid }
    }
    if (mode !== null) return { info, state: mode, words: mode === 'slip' ? 'CLASP in SLIP' : 'bare CLASP frames' }
    if (textLines > 0) return { info, state: 'text', words: 'prints text: firmware without CLASP?' }
    if (bytesIn > 0) return { info, state: 'unknown', words: `${bytesIn} bytes of something else: is the speed right?` }
    return { info, state: 'silent', words: 'silent' }
  } catch (error) {
    if (!(error instanceof SerialError)) throw error
    return { info, state: error.code, words: error.message }
  }
}

/** The devices, as soon as one has told all about itself, or after the time for it. */
async function heard(port: {
  devices(): { uid: string; name: string; firmware?: string; descriptorHash?: string }[]
  mode: string | null
}) {
  const deadline = performance.now() + PROBE_MS
  for (;;) {
    const devices = port.devices()
    const isDone = port.mode === 'slip' || port.mode === 'raw' || devices.some(({ descriptorHash }) => descriptorHash)
    if (isDone || performance.now() >= deadline) return devices
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const COLUMNS = [
  { title: 'PORT' },
  { title: 'USB' },
  { title: 'WHAT', maxWidth: 48 },
  { title: 'SPEAKS', maxWidth: 80 },
  { title: 'STABLE NAME' },
]

function rowCells({ info, words }: PortRow): string[] {
  return [info.path, usbText(info), titleOf(info), words, info.byId ?? info.byPath ?? '']
}

function usbText({ vendorId, productId, serialNumber }: SerialPortInfo): string {
  return vendorId === undefined
    ? ''
    : [vendorId, productId, serialNumber].filter((part) => part !== undefined).join(':')
}

/** What is known by the ids, else what it says of itself. */
function titleOf({ isUsb, vendorId, productId, manufacturer, product, driver, path }: SerialPortInfo): string {
  const known = knownUsb(vendorId, productId)
  if (known !== undefined) return known.title
  if (isUsb) return [manufacturer, product].filter((part) => part !== undefined).join(' ') || 'USB device'
  if (path.startsWith('/dev/rfcomm')) return 'Bluetooth'
  return driver === undefined ? '' : `UART (${driver})`
}

function rowJson({ info, held, state, words, device }: PortRow): string {
  const known = knownUsb(info.vendorId, info.productId)
  return jsonLine({
    ...info,
    known: known?.title,
    board: known?.board,
    state,
    words,
    device,
    router:
      held === undefined ? undefined : { selector: held.selector, baudRate: held.baudRate, counters: held.counters },
  })
}
