import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A port of the ALSA sequencer. */
export interface AlsaPort {
  readonly client: number
  readonly port: number
  readonly clientName: string
  readonly portName: string
  /** Messages can be had of it. */
  readonly isSource: boolean
  /** Messages can be sent to it. */
  readonly isSink: boolean
  /** Hardware, or what the kernel takes for it. */
  readonly isKernel: boolean
}

const CLIENT = /^Client +(\d+) : "(.*)" \[(Kernel|User)/
const PORT = /^ +Port +(\d+) : "(.*)" \(([Rr-])([Ww-])/
/** Clients of this process, and of others with the same library. */
const LIBRARY_CLIENT = /^RtMidi (In|Out)put Client$/
/** It hands back what it is sent. */
const THROUGH_CLIENT = 'Midi Through'

/** Ports as the kernel lists them. Undefined: it has no sequencer. `root` is where /proc is. Never rejects. */
export async function listAlsaPorts(root = '/'): Promise<readonly AlsaPort[] | undefined> {
  const text = await readFile(join(root, 'proc/asound/seq/clients'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : readAlsaPorts(text)
}

/**
 * Of /proc/asound/seq/clients: those that can be subscribed to (`R`, `W`), without the sequencer's own. Source: the
 * kernel's sound/core/seq/seq_clientmgr.c.
 */
export function readAlsaPorts(text: string): readonly AlsaPort[] {
  const ports: AlsaPort[] = []
  let client: { number: number; name: string; isKernel: boolean } | undefined
  for (const line of text.split('\n')) {
    const [, number, name, kind] = CLIENT.exec(line) ?? []
    if (number !== undefined) client = { number: Number(number), name, isKernel: kind === 'Kernel' }
    const [, port, portName, read, write] = PORT.exec(line) ?? []
    if (port === undefined || client === undefined || client.number === 0) continue
    const isSource = read === 'R'
    const isSink = write === 'W'
    if (!isSource && !isSink) continue
    const { number: clientNumber, name: clientName, isKernel } = client
    ports.push({ client: clientNumber, port: Number(port), clientName, portName, isSource, isSink, isKernel })
  }
  return ports
}

/** Those with the text in their name, in any case; '': all but the loop of the kernel and ports of this process. */
export function alsaPortsLike(text: string, ports: readonly AlsaPort[]): readonly AlsaPort[] {
  if (text === '') {
    return ports.filter(({ clientName }) => clientName !== THROUGH_CLIENT && !LIBRARY_CLIENT.test(clientName))
  }
  const wanted = text.toLowerCase()
  return ports.filter((port) => `${port.clientName}:${port.portName}`.toLowerCase().includes(wanted))
}

/** What operators call it: hardware by its port, programs by their own name as well. */
export function alsaPortName({ clientName, portName, isKernel }: AlsaPort): string {
  return isKernel || portName.startsWith(clientName) ? portName : `${clientName} ${portName}`
}

/** As RtMidi names it. */
export function libraryPortName({ clientName, portName, client, port }: AlsaPort): string {
  return `${clientName}:${portName} ${client}:${port}`
}
