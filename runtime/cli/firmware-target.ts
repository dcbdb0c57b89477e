import { realpath } from 'node:fs/promises'
import { nearest } from '../config/nearest.ts'
import type { PortReport } from '../firmware/serial-lines.ts'
import { CommandError } from './command.ts'
import type { FirmwareReport, ReportedDevice } from './firmware-pages.ts'
import { printable } from './terminal.ts'

/** The device of that name or uid, or the one on that port. Throws a CommandError that lists those there are. */
export async function deviceNamed(report: FirmwareReport, word: string, place: string): Promise<ReportedDevice> {
  const device = await knownDevice(report, word)
  if (device !== undefined) return device
  const names = report.devices.map(({ name }) => name)
  const near = nearest(word, names)
  const others = names.length === 0 ? 'it knows none' : `it knows ${printable(names.join(', '))}`
  const hint = near === undefined ? others : `did you mean "${printable(near)}"?`
  throw new CommandError(`the router at ${place} knows no device "${word}": ${hint}`)
}

/** By uid, by name (several may have the same: the first), or by the port that it is on. */
export async function knownDevice(report: FirmwareReport, word: string): Promise<ReportedDevice | undefined> {
  const { devices } = report
  const uid = word.toLowerCase()
  const found = devices.find((device) => device.uid === uid) ?? devices.find(({ name }) => name === word)
  if (found !== undefined) return found
  const port = await knownPort(report, word)
  return port === undefined ? undefined : devices.find((device) => device.port === port.path)
}

/** The port that the router serves, named as in the configuration, or by its path or a link to it. */
export async function knownPort(report: FirmwareReport, word: string): Promise<PortReport | undefined> {
  const target = await followed(word)
  for (const port of report.ports) {
    if (port.selector === word || port.path === word) return port
    if (target !== undefined && target === (await followed(port.path || port.selector))) return port
  }
  return undefined
}

/** The router has it open. */
export function isHeld({ state }: PortReport): boolean {
  return state !== 'absent' && state !== 'failed' && state !== 'opening'
}

async function followed(path: string): Promise<string | undefined> {
  return path.startsWith('/') ? realpath(path).catch(() => undefined) : undefined
}
