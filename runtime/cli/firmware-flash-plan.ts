import { basename, join } from 'node:path'
import type { SerialPortInfo } from '../transports/serial-ports.ts'
import { UsageError } from './command.ts'
import { BOARDS, type Board, knownUsb } from './firmware-boards.ts'
import type { FirmwareImage } from './firmware-image.ts'

export const FLASH_METHODS = ['avrdude', 'esptool', 'picotool', 'copy'] as const
export type FlashMethod = (typeof FLASH_METHODS)[number]

export interface FlashRequest {
  port: SerialPortInfo
  image: FirmwareImage
  method?: FlashMethod
  /** Key of BOARDS. */
  board?: string
  /** Arguments for the tool, of the operator. */
  extra: readonly string[]
  picotoolIsThere: boolean
  /** A folder for files in between. */
  scratch: string
}

/** What flashes the image: as asked for, else by the file, the board, and what USB tells. Throws a UsageError. */
export function chooseMethod({ port, image, method, board, picotoolIsThere }: FlashRequest): FlashMethod {
  if (method !== undefined) return method
  const { kind, family } = image
  if (kind === 'uf2') return picotoolIsThere ? 'picotool' : 'copy'
  const chosen = boardOf(port, board)
  if (chosen !== undefined) return chosen.tool
  if (kind === 'hex' || family === 'avr') return 'avrdude'
  if (family === 'esp') return 'esptool'
  if (family === 'arm') return 'picotool'
  throw new UsageError(`what board is it? say --board (${Object.keys(BOARDS).join(', ')}) or --tool`)
}

/** Arguments of the tool, one list for each time that it is to run. Throws a UsageError. */
export function flashArguments(method: Exclude<FlashMethod, 'copy'>, request: FlashRequest): string[][] {
  if (method === 'avrdude') return [avrdudeArguments(request)]
  if (method === 'esptool') return esptoolArguments(request)
  const { image, port, extra } = request
  const serial = port.serialNumber === undefined ? [] : ['--ser', port.serialNumber]
  // A board that runs is brought into its boot loader first, and started afterwards.
  return [['load', '-x', image.path, '-f', ...serial, ...extra]]
}

function avrdudeArguments({ port, image, board, extra }: FlashRequest): string[] {
  const avr = boardOf(port, board)?.avr
  const isTold = extra.some((argument) => argument.startsWith('-p'))
  if (avr === undefined && !isTold) {
    const names = Object.entries(BOARDS).flatMap(([name, { tool }]) => (tool === 'avrdude' ? [name] : []))
    throw new UsageError(
      `what board is it? say --board ${names.join('|')}, or give avrdude its own arguments: -- -p atmega328p -c arduino`,
    )
  }
  const chip = avr === undefined || isTold ? [] : ['-p', avr.part, '-c', avr.programmer, '-b', String(avr.baud), '-D']
  const format = image.kind === 'hex' ? 'i' : image.kind === 'elf' ? 'e' : 'r'
  return [...chip, '-P', port.path, ...extra, '-U', `flash:w:${image.path}:${format}`]
}

/** An ELF file is made a bin first, for which the chip has to be known. */
function esptoolArguments({ port, image, board, extra, scratch }: FlashRequest): string[][] {
  const chip = boardOf(port, board)?.chip
  const common = [...(chip === undefined ? [] : ['--chip', chip]), '--port', port.path, '--baud', '460800']
  const write = (path: string, offset: string) => [...common, 'write_flash', ...extra, offset, path]
  if (image.kind !== 'elf') return [write(image.path, image.isApplication ? APPLICATION_OFFSET : '0x0')]
  if (chip === undefined || chip === 'esp8266') {
    throw new UsageError(
      chip === undefined
        ? 'what chip is it? say --board esp32, esp32s3, esp32c3 …'
        : 'an ELF file for the ESP8266 is several images: flash the .bin that the compiler has made of it',
    )
  }
  const made = join(scratch, `${basename(image.path)}.bin`)
  return [['--chip', chip, 'elf2image', '-o', made, image.path], write(made, APPLICATION_OFFSET)]
}

/** Where the usual partition tables have the application. */
const APPLICATION_OFFSET = '0x10000'

function boardOf({ vendorId, productId }: SerialPortInfo, name: string | undefined): Board | undefined {
  const key = name ?? knownUsb(vendorId, productId)?.board
  return key === undefined ? undefined : BOARDS[key]
}
