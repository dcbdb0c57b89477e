import type { DeviceContext, Plain, SignalSpec } from '../device.ts'
import { choice, duration } from '../options.ts'
import { BadLines } from './bad-lines.ts'
import { LineSender } from './line-sender.ts'
import { type Encoding, LineSplitter, SEPARATORS, type Separator } from './line-splitter.ts'
import { characterMs, describeSettings, openPort, type PortSettings, portOptions } from './port-options.ts'

/** Ends of the lines that are sent. */
const ENDINGS = { lf: '\n', cr: '\r', crlf: '\r\n', nul: '\0', etx: '\u0003', none: '' } as const

/** Options of what speaks in lines of text. */
export function textOptions(baudRate: number, silenceMs = 0) {
  return {
    ...portOptions(baudRate),
    separator: choice('End of the lines that it sends; newline = CR, LF or both.', 'newline', SEPARATORS),
    encoding: choice('Encoding of the text.', 'utf-8', ['utf-8', 'latin1']),
    silence: duration('It fails when it has said nothing for so long; 0s = it may be silent.', silenceMs, {
      minMs: 0,
      maxMs: 86_400_000,
    }),
  }
}

/** Options of what can be sent lines of text as well. */
export const sendOptions = {
  ending: choice('End of the lines that are sent.', 'lf', ['lf', 'cr', 'crlf', 'nul', 'etx', 'none']),
  pause: duration('Between two lines that are sent, at least.', 0, { minMs: 0, maxMs: 60_000 }),
}

export interface TextSettings extends PortSettings {
  readonly separator: Separator
  readonly encoding: Encoding
  readonly silence: number
}

export interface SendSettings {
  readonly ending: keyof typeof ENDINGS
  readonly pause: number
}

/** What clients can play of a simulated device. */
export const playedLine: Readonly<Record<string, SignalSpec>> = {
  line: { type: 'event', datatype: 'string', access: 'w', description: 'A line that it is to have sent' },
}

type TextContext = Pick<DeviceContext, 'name' | 'serial' | 'clock' | 'lost' | 'failing' | 'problem' | 'isSimulated'> & {
  options: TextSettings
}

interface TextOwner {
  /** Returns whether it is a line as the device sends them; else `wrong` may say why, and what to do. */
  onLine(line: string, wrong: (reason: string) => void): boolean
  /** For the operator, of lines that are not: what the device is to send. */
  expected: string
  /** It was silent for too long. */
  onSilent?(): void
}

/** A port at which something speaks in lines of text. */
export interface TextPort {
  readonly play: Readonly<Record<'line', (value: Plain) => void>>
  send(line: string): void
  close(): Promise<void>
}

/** Rejects when the port cannot be opened. `sending` is for those that are sent something. */
export async function openTextPort(
  context: TextContext,
  owner: TextOwner,
  sending: SendSettings = { ending: 'lf', pause: 0 },
): Promise<TextPort> {
  const { name, clock, options, problem } = context
  const { onLine, expected, onSilent } = owner
  const bad = new BadLines(context)
  const silence = new Silence(context, expected, onSilent)
  /** The device spoke already when the port was opened: what comes first is half a line. */
  let isFirst = true
  const receive = (line: string) => {
    const wrong = (reason: string) => {
      if (!isFirst) bad.add(line, reason)
    }
    if (onLine(line, wrong)) silence.heard()
    isFirst = false
  }
  const splitter = new LineSplitter({
    separator: options.separator,
    encoding: options.encoding,
    onLine: receive,
    onTooLong: () => bad.add('', 'it is longer than 4096 bytes: set baudRate and separator as the device has them'),
  })
  const port = await openPort(context, (bytes) => {
    silence.add(bytes.length)
    splitter.push(bytes)
  })
  silence.start()
  const sender = new LineSender(
    {
      characterMs: characterMs(options),
      pauseMs: sending.pause,
      send: (bytes) => port.write(bytes),
      onFull: () => problem('full', `${name}: lines are written faster than they can be sent: one was dropped`),
    },
    clock,
  )
  return {
    play: {
      line: (value) => {
        isFirst = false
        for (const line of String(value).split(/[\r\n\0]+/)) if (line !== '') receive(line)
      },
    },
    send: (line) => sender.put(Buffer.from(line + ENDINGS[sending.ending], options.encoding)),
    async close() {
      silence.stop()
      sender.stop()
      await port.close()
    },
  }
}

/** Tells when nothing that can be read has come for too long, and when it comes again. */
class Silence {
  private readonly context: TextContext
  private readonly expected: string
  private readonly onSilent: (() => void) | undefined
  private bytes = 0
  private isSilent = false
  private timer: { cancel(): void } | null = null

  constructor(context: TextContext, expected: string, onSilent: (() => void) | undefined) {
    this.context = context
    this.expected = expected
    this.onSilent = onSilent
  }

  start(): void {
    const { silence } = this.context.options
    this.timer?.cancel()
    // Nobody speaks at a simulated port until a client plays it.
    if (silence === 0 || this.context.isSimulated) return
    this.timer = this.context.clock.timer(silence, () => this.tell())
  }

  add(bytes: number): void {
    this.bytes += bytes
  }

  heard(): void {
    this.bytes = 0
    this.start()
    if (!this.isSilent) return
    this.isSilent = false
    this.context.failing('')
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
  }

  private tell(): void {
    const { failing, name, options } = this.context
    const { port, silence } = options
    this.isSilent = true
    this.onSilent?.()
    const came =
      this.bytes === 0
        ? 'nothing came at all: is it switched on, and its TX connected to our RX?'
        : `${this.bytes} bytes came: set baudRate, parity and the bits as the device has them`
    failing(
      `${name}: no ${this.expected} for ${silence / 1000} s at ${port} with ${describeSettings(options)}; ${came}`,
    )
  }
}
