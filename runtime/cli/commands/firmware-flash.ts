import { spawn } from 'node:child_process'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { nearest } from '../../config/nearest.ts'
import { SerialError } from '../../transports/serial-error.ts'
import { serialPortHolder } from '../../transports/serial-holder.ts'
import type { SerialPortInfo } from '../../transports/serial-ports.ts'
import { findSerialPort, parsePortSelector } from '../../transports/serial-selector.ts'
import { CommandError, defineCommand, UsageError } from '../command.ts'
import { BOARDS } from '../firmware-boards.ts'
import { chooseMethod, FLASH_METHODS, type FlashMethod, flashArguments } from '../firmware-flash-plan.ts'
import { type FirmwareImage, readImage } from '../firmware-image.ts'
import { FirmwarePages, pageOptions } from '../firmware-pages.ts'
import { isHeld, knownPort } from '../firmware-target.ts'
import { FLASH_TOOLS, findBootDrives, findTool, isBootDrive } from '../firmware-tools.ts'
import { printable, type Terminal } from '../terminal.ts'

export const firmwareFlash = defineCommand({
  usage: 'PORT FILE [-- ARGUMENTS]',
  args: [2, 100],
  details:
    'Puts firmware on the board at PORT (a path, or usb:VENDOR[:PRODUCT[:SERIAL]]) with the tool that is made for it:\n' +
    'avrdude for .hex and AVR boards, esptool for .bin and .elf of the ESP family, picotool or a copy onto the drive of the\n' +
    'boot loader for .uf2. Says what it runs. What comes behind -- goes to the tool. A router that has the port open has\n' +
    'to be stopped first; it finds the board again when it is started.\n' +
    `Boards: ${Object.keys(BOARDS).join(', ')}`,
  options: {
    tool: { type: 'string', value: 'NAME', help: `${FLASH_METHODS.join(', ')}. Default: by the file and the board` },
    board: { type: 'string', short: 'b', value: 'NAME', help: 'The board, where USB does not tell.' },
    drive: { type: 'string', value: 'FOLDER', help: 'For copy: where the drive is mounted. Default: looked for' },
    ...pageOptions,
  },
  examples: [
    ['firmware flash /dev/ttyACM0 blink.hex', 'an Arduino that USB knows'],
    ['firmware flash /dev/ttyUSB0 blink.hex --board nano', 'one behind an adapter'],
    ['firmware flash /dev/ttyUSB0 firmware.bin -- --flash_size 4MB', 'an ESP32'],
  ],
  async run({ values, args, terminal, signal }) {
    const [where, path, ...extra] = args
    const asked = oneOf(values.tool, FLASH_METHODS, '--tool')
    const board = oneOf(values.board, Object.keys(BOARDS), '--board')
    const image = await readImage(path)
    const port = await portAt(where, asked === 'copy' || image.kind === 'uf2')
    const picotoolIsThere = image.kind === 'uf2' && (await findTool(FLASH_TOOLS.picotool)) !== undefined
    const wanted: FlashMethod | undefined = values.drive === undefined ? asked : 'copy'
    const scratch = await mkdtemp(join(tmpdir(), 'clasp-edge-flash-'))
    try {
      const request = { port, image, method: wanted, board, extra, picotoolIsThere, scratch }
      const method = chooseMethod(request)
      if (method === 'copy') {
        await copyToDrive(image, values.drive, terminal)
        return 0
      }
      const lists = flashArguments(method, request)
      const program = await findTool(FLASH_TOOLS[method])
      if (program === undefined) throw new CommandError(`${method} is not installed: ${FLASH_TOOLS[method].install}`)
      await checkFree(port.path, await FirmwarePages.of(values))
      for (const list of lists) await runTool(program, list, terminal, signal)
    } finally {
      await rm(scratch, { recursive: true })
    }
    return 0
  },
})

function oneOf<T extends string>(word: string | undefined, words: readonly T[], option: string): T | undefined {
  if (word === undefined) return undefined
  const found = words.find((known) => known === word)
  if (found !== undefined) return found
  const near = nearest(word, words)
  throw new UsageError(
    `${option}: "${word}" is not known: ${near === undefined ? `expected one of ${words.join(', ')}` : `did you mean "${near}"?`}`,
  )
}

/** A board in its boot loader may have no serial port, and need none. */
async function portAt(where: string, isOptional: boolean): Promise<SerialPortInfo> {
  const selector = parsePortSelector(where)
  if (selector === undefined) throw new UsageError(`"${where}" is no port: expected a path, or usb:2341:0043`)
  const found = await findSerialPort(selector)
  if (!(found instanceof SerialError)) return found
  if (isOptional && found.code === 'missing') return { path: where, isUsb: false }
  throw found
}

/** Rejects with a CommandError when somebody has the port open. */
async function checkFree(path: string, pages: FirmwarePages): Promise<void> {
  // Whoever has it is found below as well; the router can be named better.
  const report = await pages.report().catch(() => undefined)
  const held = report === undefined ? undefined : await knownPort(report, path)
  if (held !== undefined && isHeld(held)) {
    throw new CommandError(
      `the router at ${pages.place} has ${path} open: stop it (Ctrl-C, or "sudo systemctl stop clasp-edge"), flash again, ` +
        'and start it; it finds the board by itself',
    )
  }
  const holder = await serialPortHolder(path)
  if (holder !== undefined) throw new CommandError(`${path} is in use by ${holder}: stop it and try again`)
}

async function copyToDrive(image: FirmwareImage, folder: string | undefined, terminal: Terminal): Promise<void> {
  if (image.kind !== 'uf2') throw new UsageError('only a .uf2 file can be copied onto the drive of a boot loader')
  const drives = folder === undefined ? await findBootDrives() : [folder]
  const [drive] = drives
  if (drive === undefined) {
    throw new CommandError(
      'there is no picotool and no drive of a boot loader: hold BOOTSEL while you plug the board in (others: press reset ' +
        `twice) and mount the drive that appears, or install picotool: ${FLASH_TOOLS.picotool.install}`,
    )
  }
  if (drives.length > 1)
    throw new CommandError(`there are several boards: say --drive with one of ${drives.join(', ')}`)
  if (folder !== undefined && !(await isBootDrive(folder))) {
    throw new CommandError(`${folder} is not the drive of a boot loader: it has no INFO_UF2.TXT`)
  }
  const target = join(drive, basename(image.path))
  terminal.note(`copying ${printable(image.path)} to ${printable(target)}`)
  try {
    await copyFile(image.path, target)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CommandError(
      `${target} cannot be written (${code}): may you write there, and is the board still plugged in?`,
    )
  }
  terminal.line('done: the board starts by itself')
}

/** Its output is the operator's. Rejects with a CommandError when it does not end with 0. */
async function runTool(
  program: string,
  args: readonly string[],
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  terminal.note(terminal.paint('bold', printable([program, ...args].map(quoted).join(' '))))
  const child = spawn(program, args, { stdio: 'inherit' })
  // Ctrl-C reaches it as well; SIGTERM does not.
  const stop = () => void child.kill('SIGTERM')
  signal.addEventListener('abort', stop)
  try {
    const outcome = await new Promise<string | undefined>((resolve) => {
      child.once('error', (error) => resolve(`does not start: ${error.message}`))
      child.once('exit', (code, name) => resolve(code === 0 ? undefined : `ended with ${name ?? `exit code ${code}`}`))
    })
    if (signal.aborted) throw new CommandError('stopped: the board may have half of its firmware: flash it again')
    if (outcome !== undefined) {
      throw new CommandError(
        `${basename(program)} ${outcome}: its own lines above tell why; is the right board chosen (--board), and its cable ` +
          'one for data?',
      )
    }
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** As a shell would want it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
