import { open } from 'node:fs/promises'
import { extname } from 'node:path'
import { CommandError } from './command.ts'

/** What is to be put on a board, as far as the file tells. */
export interface FirmwareImage {
  path: string
  kind: 'hex' | 'bin' | 'elf' | 'uf2'
  /** What the code is for; undefined: the file does not tell. */
  family?: 'avr' | 'esp' | 'arm'
  /** Of a bin for an ESP: an application without boot loader and partition table. */
  isApplication: boolean
}

const HEAD_BYTES = 64
/** e_machine of the ELF header. */
const ELF_FAMILIES: Readonly<Record<number, FirmwareImage['family']>> = {
  40: 'arm',
  83: 'avr',
  94: 'esp',
  // RISC-V: C3, C6 and their like.
  243: 'esp',
}
const ESP_IMAGE = 0xe9
/** esp_app_desc_t: the magic word behind the image header (24 bytes) and the first segment's (8 bytes). */
const ESP_APPLICATION = 0xabcd5432
const ESP_APPLICATION_AT = 32

/** Looks into the file. Rejects with a CommandError when it cannot be read or is nothing that can be flashed. */
export async function readImage(path: string): Promise<FirmwareImage> {
  const head = await headOf(path)
  const ending = extname(path).toLowerCase()
  const isElf = head.subarray(0, 4).toString('latin1') === '\x7fELF'
  if (isElf) {
    const machine = head.length >= 20 ? head.readUInt16LE(18) : 0
    return { path, kind: 'elf', family: ELF_FAMILIES[machine], isApplication: false }
  }
  if (ending === '.hex') {
    if (head[0] !== 0x3a)
      throw new CommandError(`${path} is not in Intel's HEX format: take what the compiler has written`)
    return { path, kind: 'hex', isApplication: false }
  }
  if (ending === '.uf2') {
    if (head.subarray(0, 4).toString('latin1') !== 'UF2\n') throw new CommandError(`${path} is not a UF2 file`)
    return { path, kind: 'uf2', isApplication: false }
  }
  if (ending === '.bin') {
    const hasMagic = head.length >= ESP_APPLICATION_AT + 4 && head.readUInt32LE(ESP_APPLICATION_AT) === ESP_APPLICATION
    return {
      path,
      kind: 'bin',
      ...(head[0] === ESP_IMAGE && { family: 'esp' as const }),
      isApplication: head[0] === ESP_IMAGE && hasMagic,
    }
  }
  throw new CommandError(`${path} is nothing that is known here: expected .hex, .bin, .elf or .uf2`)
}

async function headOf(path: string): Promise<Buffer> {
  try {
    const file = await open(path)
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)
      return buffer.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CommandError(`${path} cannot be read (${code}): check the path`)
  }
}
