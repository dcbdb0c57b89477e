import type { Clock } from '../../router/clock.ts'
import { SerialError } from '../../transports/serial-error.ts'
import { findSerialPort, parsePortSelector } from '../../transports/serial-selector.ts'
import { loadAlsa } from './alsa-library.ts'
import { openAlsaMidi, openVirtualMidi } from './alsa-midi-port.ts'
import { type AlsaPort, alsaPortName, alsaPortsLike, listAlsaPorts } from './alsa-ports.ts'
import type { PortOptions } from './midi-kind.ts'
import type { FoundPort } from './midi-port.ts'
import { placeOf, VIRTUAL } from './port-choice.ts'
import { openSerialMidi } from './serial-midi-port.ts'

/** Of DIN plugs, and so of most gear behind USB. */
const DIN_BYTES_PER_S = 3125
const BITS_PER_BYTE = 10

/** Ports that fit an entry of the configuration, or why there are none. */
export type Findings = readonly FoundPort[] | Error

/** Never rejects. */
export async function findPorts(entry: PortOptions, clock: Clock): Promise<Findings> {
  try {
    switch (placeOf(entry)) {
      case 'serial':
        return [await serialPort(entry, clock)]
      case 'virtual':
        return [await virtualPort(entry)]
      case 'alsa':
        return await alsaPorts(entry)
    }
  } catch (error) {
    return error as Error
  }
}

async function serialPort(entry: PortOptions, clock: Clock): Promise<FoundPort> {
  const selector = parsePortSelector(entry.port)
  if (selector === undefined) throw new Error(`${entry.port} is neither a path nor usb:VENDOR:PRODUCT`)
  const found = await findSerialPort(selector)
  if (found instanceof SerialError) throw found
  const { baudRate } = entry
  const bytesPerS = entry.rate ?? baudRate / BITS_PER_BYTE
  return {
    key: `serial ${found.path}`,
    name: entry.port,
    bytesPerS,
    sysExBytesPerS: bytesPerS,
    open: (events) => openSerialMidi(found.path, baudRate, clock, events),
  }
}

async function virtualPort({ port, direction, rate }: PortOptions): Promise<FoundPort> {
  const name = port.slice(VIRTUAL.length)
  const library = await loadAlsa()
  return {
    key: port,
    name,
    bytesPerS: rate,
    sysExBytesPerS: rate ?? DIN_BYTES_PER_S,
    open: async (events) => openVirtualMidi(library, name, direction, events),
  }
}

async function alsaPorts({ port: text, direction, rate }: PortOptions): Promise<readonly FoundPort[]> {
  const library = await loadAlsa()
  const all = await listAlsaPorts()
  if (all === undefined) throw new Error('the kernel does not list its MIDI ports in /proc/asound/seq/clients')
  const isWanted = ({ isSource, isSink }: AlsaPort) => (direction === 'in' ? isSource : direction === 'both' || isSink)
  const ports = alsaPortsLike(text, all).filter(isWanted)
  if (ports.length === 0) throw new Error(missing(text, alsaPortsLike('', all)))
  return ports.map((port) => ({
    key: `alsa ${port.client}:${port.port} ${port.clientName}:${port.portName}`,
    name: alsaPortName(port),
    bytesPerS: rate,
    sysExBytesPerS: rate ?? DIN_BYTES_PER_S,
    open: async (events) => openAlsaMidi(library, port, direction, events),
  }))
}

function missing(text: string, others: readonly AlsaPort[]): string {
  const there = others.map(({ clientName, portName }) => `${clientName}:${portName}`).join(', ')
  const what = text === '' ? 'there is no MIDI port' : `no MIDI port has "${text}" in its name`
  return `${what}: plug it in${there === '' ? '' : `, or choose another one (there are: ${there})`}`
}
