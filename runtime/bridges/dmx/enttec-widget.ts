import type { Clock } from '../../router/clock.ts'
import { openSerialPort, type SerialPort } from '../../transports/serial-port.ts'
import type { PortLabels } from './dmx-kind.ts'
import type { DmxLine, LineEvents } from './dmx-line.ts'
import {
  applyChanges,
  decodeName,
  decodeParameters,
  decodeSerialNumber,
  EnttecReader,
  encodeEnttec,
  encodeParameters,
  Label,
  type WidgetParameters,
} from './enttec-message.ts'

export interface WidgetOptions {
  readonly clock: Clock
  readonly isInput: boolean
  /** Slots of a frame, 24…512. */
  readonly slots: number
  readonly refreshHz: number
  readonly breakUs: number
  readonly markUs: number
  /** 8 hexadecimal digits; undefined: it has one port only. */
  readonly key: string | undefined
  readonly labels: PortLabels
}

/** Any rate will do: bytes go through USB. This is the one that other programs set. */
const BAUD = 115_200
const ANSWER_MS = 1000
/** Of break and mark. */
const UNIT_US = 10.67
/** The widget's own limit; 0 means as fast as it can. */
const MAX_RATE = 40
const FRAME_BYTES = 513
/** High byte of the firmware of a widget that only speaks RDM, and has no labels 8 and 9. */
const RDM_FIRMWARE = 2
const OVERFLOW = 1
const OVERRUN = 2
/** At the driver; then frames wait, and only the last one is kept. */
const MAX_BACKLOG_BYTES = 2 * FRAME_BYTES
const FAREWELL_MS = 500

/**
 * An ENTTEC DMX USB Pro or one that speaks as it does. The widget repeats by itself what it was sent last. Rejects with an
 * error for the operator when the port cannot be opened, or nothing answers there.
 */
export async function openEnttecWidget(path: string, options: WidgetOptions, events: LineEvents): Promise<DmxLine> {
  const widget = new EnttecWidget(options, events)
  await widget.open(path)
  return widget
}

class EnttecWidget implements DmxLine {
  readonly details: Record<string, string | number> = {}
  private readonly options: WidgetOptions
  private readonly events: LineEvents
  private readonly reader = new EnttecReader((label, data) => this.receive(label, data))
  /** Start code and slots, of the last frame in either direction. */
  private readonly frame = new Uint8Array(FRAME_BYTES)
  private port: SerialPort | null = null
  private parameters: WidgetParameters | null = null
  /** Labels of answers that have not come yet. */
  private readonly awaited = new Set<number>([Label.serialNumber, Label.parameters, Label.manufacturer, Label.device])
  private hasAnswered = false
  private onAnswered: () => void = () => {}
  private isBehind = false
  private isOpen = false
  private goneReason: string | null = null

  constructor(options: WidgetOptions, events: LineEvents) {
    this.options = options
    this.events = events
  }

  async open(path: string): Promise<void> {
    const { clock } = this.options
    const port = await openSerialPort(
      path,
      { baudRate: BAUD, clock },
      {
        onData: (bytes) => this.hear(bytes),
        onDrain: () => {
          if (this.isBehind) this.write()
        },
        onGone: (reason) => this.gone(reason),
      },
    )
    this.port = port
    await this.identify(port)
    if (!this.hasAnswered || this.goneReason !== null) {
      await port.close()
      throw new Error(
        this.goneReason ??
          `nothing answers at ${path} as an ENTTEC DMX USB Pro does: check the port; an Open DMX or another plain adapter is type: ftdi`,
      )
    }
    this.isOpen = true
    this.setUp(port)
  }

  send(levels: Uint8Array): void {
    this.frame.set(levels.subarray(0, this.options.slots), 1)
    this.write()
  }

  async close(): Promise<void> {
    const { port } = this
    this.isOpen = false
    if (port === null) return
    // What waited until now would never be shown.
    if (this.isBehind) this.transmit(port)
    await this.drained(port)
    await port.close()
  }

  /** Asks who it is. Old ones and clones do not answer everything. */
  private async identify(port: SerialPort): Promise<void> {
    const { clock } = this.options
    await new Promise<void>((resolve) => {
      const limit = clock.timer(ANSWER_MS, resolve)
      this.onAnswered = () => {
        limit.cancel()
        resolve()
      }
      port.write(encodeEnttec(Label.serialNumber))
      port.write(encodeEnttec(Label.parameters, Uint8Array.of(0, 0)))
      port.write(encodeEnttec(Label.manufacturer))
      port.write(encodeEnttec(Label.device))
    })
  }

  /** What is set stays in the widget's flash memory: it is written only where it differs. */
  private setUp(port: SerialPort): void {
    const { isInput, refreshHz, breakUs, markUs, key, labels } = this.options
    const { parameters } = this
    if (key !== undefined) port.write(encodeEnttec(Label.key, Buffer.from(key, 'hex')))
    if (labels.assign !== undefined) port.write(encodeEnttec(labels.assign, Uint8Array.of(1, 1)))
    if (isInput) {
      const isRdm = parameters !== null && parameters.firmware >> 8 === RDM_FIRMWARE
      if (!isRdm) port.write(encodeEnttec(labels.receiveMode, Uint8Array.of(0)))
      return
    }
    const wanted = {
      breakTime: within(9, Math.round(breakUs / UNIT_US), 127),
      markTime: within(1, Math.round(markUs / UNIT_US), 127),
      rate: refreshHz > MAX_RATE ? 0 : within(1, Math.round(refreshHz), MAX_RATE),
    }
    const { breakTime, markTime, rate } = wanted
    if (parameters?.breakTime === breakTime && parameters.markTime === markTime && parameters.rate === rate) return
    port.write(encodeEnttec(Label.setParameters, encodeParameters(wanted)))
  }

  private write(): void {
    const { port } = this
    if (!this.isOpen || port === null) return
    this.isBehind = port.backlogBytes > MAX_BACKLOG_BYTES
    if (!this.isBehind) this.transmit(port)
  }

  private transmit(port: SerialPort): void {
    port.write(encodeEnttec(this.options.labels.send, this.frame.subarray(0, 1 + this.options.slots)))
  }

  private hear(bytes: Uint8Array): void {
    const { skipped } = this.reader
    this.reader.add(bytes)
    // Before it is open the beginning of a message may be missing.
    if (!this.isOpen || this.reader.skipped === skipped) return
    this.events.onProblem('malformed', 'the port brought bytes that are no message of an ENTTEC DMX USB Pro')
  }

  private receive(label: number, data: Uint8Array): void {
    const { received, changes } = this.options.labels
    if (label === received) this.received(data)
    else if (label === changes) this.changed(data)
    else this.answered(label, data)
  }

  private received(data: Uint8Array): void {
    if (!this.isOpen || !this.options.isInput) return
    if (data.length < 2 || data.length > 1 + FRAME_BYTES) {
      this.events.onProblem('malformed', `the widget sent a frame of ${data.length - 1} bytes`)
      return
    }
    if (data[0] & OVERFLOW) this.events.onProblem('overflow', 'the widget lost frames: its queue was full')
    if (data[0] & OVERRUN) {
      this.events.onProblem('overrun', 'the widget could not follow the DMX line: check cable and termination')
      return
    }
    if (data[1] === 0) this.frame.set(data.subarray(1))
    this.events.onFrame(data[1], data.subarray(2))
  }

  private changed(data: Uint8Array): void {
    if (!this.isOpen || !this.options.isInput) return
    if (!applyChanges(data, this.frame))
      this.events.onProblem('malformed', 'the widget sent changes that make no sense')
    else if (this.frame[0] === 0) this.events.onFrame(0, this.frame.subarray(1))
  }

  private answered(label: number, data: Uint8Array): void {
    const { details } = this
    if (label === Label.serialNumber) details.serial = decodeSerialNumber(data)
    else if (label === Label.manufacturer) details.manufacturer = decodeName(data)
    else if (label === Label.device) details.model = decodeName(data)
    else if (label === Label.parameters) {
      this.parameters = decodeParameters(data) ?? null
      const { firmware = 0 } = this.parameters ?? {}
      details.firmware = `${firmware >> 8}.${firmware & 0xff}`
    }
    if (!this.awaited.delete(label)) return
    this.hasAnswered = true
    if (this.awaited.size === 0) this.onAnswered()
  }

  private gone(reason: string): void {
    this.goneReason = reason
    this.onAnswered()
    if (!this.isOpen) return
    this.isOpen = false
    this.events.onGone(reason)
  }

  /** A widget that takes nothing does not hold up the end. */
  private async drained(port: SerialPort): Promise<void> {
    const { clock } = this.options
    await new Promise<void>((resolve) => {
      const limit = clock.timer(FAREWELL_MS, resolve)
      const done = () => {
        limit.cancel()
        resolve()
      }
      port.drain().then(done, done)
    })
  }
}

function within(least: number, value: number, most: number): number {
  return Math.min(most, Math.max(least, value))
}
