import { readdir, readlink, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Board, Bus } from '../../boards/board.ts'
import { sitsAt } from '../../boards/chip-nodes.ts'
import { hexAddress } from './bus.ts'

/** Where the files of the machine are, and what is known of the board. */
export interface Machine {
  dev: string
  sysfs: string
  board?: Board
}

/** One bus as the machine has it. */
export interface BusPlace {
  /** As the configuration calls it. */
  name: string
  /** `/dev/i2c-1` */
  path: string
  /** Undefined: the path does not tell. */
  number: number | undefined
}

/** A driver of the kernel that has a chip. */
export interface KernelDriver {
  address: number
  /** As the driver is called: `bmp280`. */
  driver: string
}

/** `bus`: a number, or a path, which may be a link. Never rejects. */
export async function busPlace(bus: string, { dev }: Machine): Promise<BusPlace> {
  const path = /^\d+$/.test(bus) ? join(dev, `i2c-${bus}`) : await realpath(bus).catch(() => bus)
  const number = /^i2c-(\d+)$/.exec(basename(path))?.[1]
  return { name: bus, path, number: number === undefined ? undefined : Number(number) }
}

/** Numbers of the buses with a node, in order. Never rejects. */
export async function busNumbers({ dev }: Machine): Promise<number[]> {
  const names = await readdir(dev).catch(() => [])
  return names
    .flatMap((name) => /^i2c-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}

/** Folder of a bus in sysfs; undefined: the kernel has no such bus. Never rejects. */
export async function busFolder({ number }: BusPlace, { sysfs }: Machine): Promise<string | undefined> {
  if (number === undefined) return undefined
  return realpath(join(sysfs, 'bus/i2c/devices', `i2c-${number}`)).catch(() => undefined)
}

/** The bus in the data of the board: by its controller, or by its usual node where the kernel does not have it. */
export async function boardBus(place: BusPlace, machine: Machine): Promise<Bus | undefined> {
  const buses = machine.board?.buses.filter(({ kind }) => kind === 'i2c') ?? []
  const folder = await busFolder(place, machine)
  if (folder === undefined) return buses.find(({ node }) => node === `/dev/i2c-${place.number}`)
  // Not the buses behind a switch that hangs on it.
  return buses.find(({ address }) => sitsAt(basename(dirname(folder)), address))
}

/** Chips of a bus that drivers of the kernel have, by address. Never rejects. */
export async function kernelDrivers(place: BusPlace, machine: Machine): Promise<KernelDriver[]> {
  const folder = await busFolder(place, machine)
  if (folder === undefined) return []
  const found: KernelDriver[] = []
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    const address = /^\d+-00([0-9a-f]{2})$/.exec(name)?.[1]
    if (address === undefined) continue
    const driver = await readlink(join(folder, name, 'driver')).catch(() => undefined)
    if (driver !== undefined) found.push({ address: Number.parseInt(address, 16), driver: basename(driver) })
  }
  return found
}

/** `SDA is GPIO2 (pin 3), SCL is GPIO3 (pin 5)`; '' where the board is not known. */
export function wireText(bus: Bus | undefined, board: Board | undefined): string {
  const pins = board?.headers.flatMap((header) => header.pins) ?? []
  return (bus?.pins ?? [])
    .map(([name, role]) => {
      const pin = pins.find((one) => one.name === name)
      return pin === undefined ? `${role} is ${name}` : `${role} is ${name} (pin ${pin.number})`
    })
    .join(', ')
}

/** `0x76 of the I2C bus 1` */
export function chipText(address: number, { name }: BusPlace): string {
  return `${hexAddress(address)} of the I2C bus ${name}`
}
