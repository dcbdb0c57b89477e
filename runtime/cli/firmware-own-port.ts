import { routerOptions } from '../config/router-options.ts'
import { defaultConfig } from '../config/schema.ts'
import { DescriptorCache } from '../firmware/descriptor-cache.ts'
import type { DeviceReport } from '../firmware/device-report.ts'
import { FirmwareHub, type TappedFrame } from '../firmware/firmware-hub.ts'
import { NarrowAcceptor } from '../firmware/narrow-acceptor.ts'
import { type LineMode, SerialLine } from '../firmware/serial-line.ts'
import { systemClock } from '../router/clock.ts'
import { type Log, type LogFields, silentLog } from '../router/log.ts'
import { Router } from '../router/router.ts'
import { openSerialPort, type SerialPort } from '../transports/serial-port.ts'

export interface OwnPortEvents {
  onFrame?(frame: TappedFrame): void
  /** A device came, went, or said something in its own words. */
  onNote?(text: string): void
  /** The port was unplugged, and is closed. */
  onGone?(reason: string): void
}

/** A serial port that this process has open, with a router of its own behind it. */
export interface OwnPort {
  /** What speaks there; null: not known yet. */
  readonly mode: LineMode | null
  readonly bytesIn: number
  /** Lines of plain text that came. */
  readonly textLines: number
  devices(): DeviceReport[]
  /** Says goodbye and closes. */
  close(): Promise<void>
}

/** A line that takes nothing must not hold up the end. */
const GOODBYE_MS = 200

/** Opens the port and serves whoever is there, as a router would. Rejects with a SerialError. */
export async function openOwnPort(path: string, baudRate: number, events: OwnPortEvents = {}): Promise<OwnPort> {
  const clock = systemClock
  const log = noteLog(events)
  const router = new Router(routerOptions(defaultConfig), { clock, log: silentLog })
  const hub = new FirmwareHub(router, new DescriptorCache(undefined, silentLog), clock, log)
  if (events.onFrame !== undefined) hub.taps.add((frame) => events.onFrame?.(frame))
  let line: SerialLine | undefined
  const stop = () => {
    hub.stop()
    router.stop()
  }
  let port: SerialPort
  try {
    port = await openSerialPort(
      path,
      { baudRate },
      {
        onData: (bytes) => line?.receive(bytes),
        onDrain: () => line?.onDrain(),
        onGone: (reason) => {
          line?.close(reason)
          events.onGone?.(reason)
        },
      },
    )
  } catch (error) {
    stop()
    throw error
  }
  const served = new SerialLine(hub, new NarrowAcceptor(router, { clock, log: silentLog }), port, {
    mode: 'auto',
    baudRate,
    maxBaudRate: 0,
    // Nothing but the handshake is sent: there is nothing to pace.
    hasLineRate: false,
    implicitHello: false,
    silentMs: 0,
  })
  line = served
  return {
    get mode() {
      return served.mode
    },
    get bytesIn() {
      return served.bytesIn
    },
    get textLines() {
      return served.textLines
    },
    devices: () => hub.report(),
    async close() {
      served.close('the command has ended', true)
      await Promise.race([port.drain().catch(() => {}), new Promise((done) => clock.timer(GOODBYE_MS, () => done(0)))])
      stop()
      await port.close()
    },
  }
}

function noteLog({ onNote }: OwnPortEvents): Log {
  const note = (message: string, fields: LogFields = {}) => {
    const words = Object.entries(fields).flatMap(([key, value]) => (value === undefined ? [] : [`${key} ${value}`]))
    onNote?.([message, words.join(', ')].filter((part) => part !== '').join(': '))
  }
  return {
    // Firmware that prints is quoted at this level, whatever it prints.
    debug: (message, fields) => {
      if (message === 'device says') note(message, fields)
    },
    info: note,
    warn: note,
    error: note,
  }
}
