import { access, constants, readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** A program that flashes boards. */
export interface FlashTool {
  /** Names of the program, the usual one first. */
  programs: readonly string[]
  /** How to get it. */
  install: string
}

export const FLASH_TOOLS = {
  avrdude: { programs: ['avrdude'], install: 'sudo apt install avrdude' },
  esptool: { programs: ['esptool', 'esptool.py'], install: 'pipx install esptool (sudo apt install pipx)' },
  picotool: {
    programs: ['picotool'],
    install: 'sudo apt install picotool, or take it from github.com/raspberrypi/pico-sdk-tools/releases',
  },
} as const satisfies Record<string, FlashTool>

/** Path of the tool's program, looked for as a shell would; undefined: it is not installed. */
export async function findTool({ programs }: FlashTool): Promise<string | undefined> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  for (const program of programs) {
    for (const folder of folders) {
      const path = join(folder, program)
      const isThere = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
      if (isThere) return path
    }
  }
  return undefined
}

/** Where boot loaders that appear as a drive are mounted: each has an INFO_UF2.TXT. */
export async function findBootDrives(): Promise<string[]> {
  const mounts = await readFile('/proc/mounts', 'utf8').catch(() => '')
  const folders = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'vfat')
    // Spaces and the like are written in octal. See getmntent(3).
    .map(([, folder]) => folder.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8))))
  const drives = await Promise.all(folders.map(async (folder) => ((await isBootDrive(folder)) ? [folder] : [])))
  return drives.flat()
}

/** The folder is a boot loader's drive. */
export function isBootDrive(folder: string): Promise<boolean> {
  return access(join(folder, 'INFO_UF2.TXT')).then(
    () => true,
    () => false,
  )
}
