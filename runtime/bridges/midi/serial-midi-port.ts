import type { Clock } from '../../router/clock.ts'
import { openSerialPort, type SerialPort } from '../../transports/serial-port.ts'
import type { MidiPort, MidiPortEvents } from './midi-port.ts'

const LAST_WORDS_MS = 1000

/** MIDI over a serial line: 31 250 baud on DIN plugs, any rate on others. Rejects with a SerialError. */
export async function openSerialMidi(
  path: string,
  baudRate: number,
  clock: Clock,
  events: MidiPortEvents,
): Promise<MidiPort> {
  const port = await openSerialPort(
    path,
    { baudRate, clock },
    { onData: (bytes) => events.onBytes(bytes), onDrain: () => {}, onGone: (reason) => events.onGone(reason) },
  )
  return new SerialMidiPort(port, clock)
}

class SerialMidiPort implements MidiPort {
  private readonly port: SerialPort
  private readonly clock: Clock

  constructor(port: SerialPort, clock: Clock) {
    this.port = port
    this.clock = clock
  }

  get backlogBytes(): number {
    return this.port.backlogBytes
  }

  write(bytes: Uint8Array): void {
    this.port.write(bytes)
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.clock.timer(LAST_WORDS_MS, resolve)
      const done = () => {
        timer.cancel()
        resolve()
      }
      this.port.drain().then(done, done)
    })
    await this.port.close()
  }
}
