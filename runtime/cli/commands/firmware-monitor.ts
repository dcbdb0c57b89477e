import { realpath } from 'node:fs/promises'
import type { TappedFrame } from '../../firmware/firmware-hub.ts'
import { SerialError } from '../../transports/serial-error.ts'
import { findSerialPort, parsePortSelector } from '../../transports/serial-selector.ts'
import { CommandError, defineCommand } from '../command.ts'
import { frameText } from '../firmware-frame-text.ts'
import type { OwnPort, OwnPortEvents } from '../firmware-own-port.ts'
import { FirmwarePages, type FirmwareReport, pageOptions } from '../firmware-pages.ts'
import { DeviceSignals } from '../firmware-signals.ts'
import { deviceNamed, isHeld, knownDevice, knownPort } from '../firmware-target.ts'
import { jsonLine } from '../json-line.ts'
import { wholeOption } from '../option-values.ts'
import { printable, type Terminal } from '../terminal.ts'

const DEFAULT_BAUD = 115_200

export const firmwareMonitor = defineCommand({
  usage: 'PORT|DEVICE',
  args: [1, 1],
  details:
    'Prints the frames between the router and a microcontroller as they pass, until Ctrl-C: time, direction (in: from the\n' +
    'device), kind, sequence number, acknowledgement, and what they carry. PORT is a path or usb:VENDOR[:PRODUCT[:SERIAL]];\n' +
    'DEVICE a name or uid that the running router knows. A port that no router has open is opened by this command, which\n' +
    'then serves the device itself; opening can restart an Arduino.',
  options: {
    raw: { type: 'boolean', help: 'With the bytes in hexadecimal: of the link CTRL SEQ BODY, else the CLASP frame.' },
    json: { type: 'boolean', help: 'One object a line: atUs, direction, mode, port, uid, hex, text.' },
    count: { type: 'string', short: 'n', value: 'N', help: 'End after N frames.' },
    listen: { type: 'boolean', help: 'Open the port, but send nothing: shows what comes by itself.' },
    baud: { type: 'string', value: 'N', help: `Speed, when this command opens the port. Default: ${DEFAULT_BAUD}` },
    ...pageOptions,
  },
  examples: [
    ['firmware monitor sim', 'a device of the running router'],
    ['firmware monitor --raw /dev/ttyUSB0', 'a port, with all bytes'],
    ['firmware monitor --listen usb:2341:0043', 'what an Arduino says by itself'],
  ],
  async run({ values, args, terminal, signal }) {
    const [target] = args
    const baudRate = wholeOption(values.baud, '--baud', 50, 4_000_000) ?? DEFAULT_BAUD
    const count = wholeOption(values.count, '--count', 1) ?? Number.POSITIVE_INFINITY
    const pages = await FirmwarePages.of(values)
    const report = await pages.reportIfThere()
    const done = new AbortController()
    const until = AbortSignal.any([signal, done.signal])
    const signals = new DeviceSignals()
    signals.learn(report?.devices ?? [])
    let shown = 0
    const show = (frame: TappedFrame) => {
      if (shown >= count) return
      const text = frameText(frame, signals.of(frame.uid))
      terminal.line(values.json ? jsonLine({ ...frame, text }) : lineOf(frame, text, values.raw === true, terminal))
      if (++shown >= count) done.abort()
    }
    const stream = report === undefined ? undefined : await streamFor(target, report)
    if (stream !== undefined) {
      if (values.listen) throw new CommandError(`the router at ${pages.place} serves it: leave out --listen`)
      await watchRouter(pages, stream, signals, show, until)
      if (!until.aborted)
        throw new CommandError(`the router at ${pages.place} has ended the connection: was it stopped?`)
      return 0
    }
    const path = await freePort(target, report, pages.place)
    await watchPort(path, baudRate, values.listen === true, { show, terminal, signals }, until)
    return 0
  },
})

/** What to ask the router for; undefined: it does not have it. */
async function streamFor(target: string, report: FirmwareReport) {
  const port = await knownPort(report, target)
  if (port !== undefined) return isHeld(port) ? { port: port.path } : undefined
  const device = await knownDevice(report, target)
  return device === undefined ? undefined : { device: device.uid }
}

async function watchRouter(
  pages: FirmwarePages,
  stream: { port: string } | { device: string },
  signals: DeviceSignals,
  show: (frame: TappedFrame) => void,
  until: AbortSignal,
): Promise<void> {
  for await (const frame of pages.frames(stream, until)) {
    if (signals.isNews(frame)) {
      // Numbers are shown where the names cannot be had.
      const report = await pages.report().catch(() => undefined)
      signals.learn(report?.devices ?? [])
    }
    show(frame)
  }
}

/** Where the port is that this command is to open. Rejects with a CommandError or a SerialError. */
async function freePort(target: string, report: FirmwareReport | undefined, place: string): Promise<string> {
  const selector = parsePortSelector(target)
  if (selector === undefined) {
    if (report !== undefined) await deviceNamed(report, target, place)
    throw new CommandError(
      `"${target}" is no port, and no router runs at ${place} that could know a device of this name: ` +
        'name a port such as /dev/ttyUSB0',
    )
  }
  const found = await findSerialPort(selector)
  if (found instanceof SerialError) throw found
  return found.path
}

async function watchPort(
  path: string,
  baudRate: number,
  isListening: boolean,
  { show, terminal, signals }: { show: (frame: TappedFrame) => void; terminal: Terminal; signals: DeviceSignals },
  until: AbortSignal,
): Promise<void> {
  const gone = new AbortController()
  let host: OwnPort | undefined
  const events: OwnPortEvents = {
    onFrame(frame) {
      if (host !== undefined && signals.isNews(frame)) signals.learn(host.devices())
      show(frame)
    },
    onNote: (text) => terminal.note(printable(text)),
    onGone: (reason) => gone.abort(reason),
  }
  let port: { close(): Promise<void> }
  if (isListening) {
    const { listenToPort } = await import('../firmware-listener.ts')
    port = await listenToPort(path, baudRate, events)
  } else {
    const { openOwnPort } = await import('../firmware-own-port.ts')
    host = await openOwnPort(path, baudRate, events)
    port = host
  }
  const device = await realpath(path).catch(() => path)
  terminal.note(`${device} is open at ${baudRate} baud, ${isListening ? 'only listening' : 'this command is its host'}`)
  try {
    await aborted(AbortSignal.any([until, gone.signal]))
  } finally {
    await port.close()
  }
  if (gone.signal.aborted) throw new CommandError(`${gone.signal.reason}: plug it in and start again`)
}

function lineOf(
  { atUs, direction, mode, hex }: TappedFrame,
  text: string,
  hasHex: boolean,
  terminal: Terminal,
): string {
  const way = direction === 'in' ? terminal.paint('green', 'in ') : terminal.paint('yellow', 'out')
  const bytes = hasHex ? `  ${terminal.paint('dim', hex)}` : ''
  const kind = mode === 'slip' || mode === 'raw' ? `${mode.padEnd(4)} ` : ''
  return `${terminal.paint('dim', timeOfDay(atUs))}  ${way}  ${kind}${printable(text)}${bytes}`
}

function timeOfDay(atUs: number): string {
  const date = new Date(Math.floor(atUs / 1000))
  const two = (n: number) => String(n).padStart(2, '0')
  const micros = String(atUs % 1_000_000).padStart(6, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${micros}`
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
