import type { AlsaInput, AlsaLibrary, AlsaOutput } from './alsa-library.ts'
import { type AlsaPort, libraryPortName } from './alsa-ports.ts'
import type { MidiPort, MidiPortEvents } from './midi-port.ts'

/** A port of the sequencer, in the directions that are wanted and that it has. Throws an error for the operator. */
export function openAlsaMidi(
  library: AlsaLibrary,
  port: AlsaPort,
  direction: 'both' | 'in' | 'out',
  events: MidiPortEvents,
): MidiPort {
  const name = libraryPortName(port)
  return openPorts(library, port.isSource && direction !== 'out', port.isSink && direction !== 'in', events, (end) => {
    end.openPortByName(name)
    if (!end.isPortOpen()) throw new Error(`cannot open the ALSA port ${name}: it has gone, or another program has it`)
  })
}

/** A port of our own: what others send to it comes in, what we send they can read. Throws an error for the operator. */
export function openVirtualMidi(
  library: AlsaLibrary,
  name: string,
  direction: 'both' | 'in' | 'out',
  events: MidiPortEvents,
): MidiPort {
  return openPorts(library, direction !== 'out', direction !== 'in', events, (end) => end.openVirtualPort(name))
}

function openPorts(
  library: AlsaLibrary,
  wantsInput: boolean,
  wantsOutput: boolean,
  events: MidiPortEvents,
  connect: (end: AlsaInput | AlsaOutput) => void,
): MidiPort {
  const port = new AlsaMidiPort()
  try {
    if (wantsOutput) {
      port.output = new library.Output()
      connect(port.output)
    }
    if (wantsInput) {
      port.input = new library.Input()
      port.input.on('messageBuffer', (_, bytes) => {
        if (!port.isClosed) events.onBytes(bytes)
      })
      port.input.ignoreTypes(false, false, false)
      connect(port.input)
    }
    return port
  } catch (error) {
    void port.close()
    throw error
  }
}

/** The kernel takes what it is given at once, and drops what its buffer of 4 KiB for each device has no room for. */
class AlsaMidiPort implements MidiPort {
  readonly backlogBytes = 0
  input: AlsaInput | null = null
  output: AlsaOutput | null = null
  isClosed = false

  write(bytes: Uint8Array): void {
    if (!this.isClosed) this.output?.sendMessage(Buffer.from(bytes))
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.input?.destroy()
    this.output?.destroy()
  }
}
