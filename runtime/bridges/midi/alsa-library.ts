import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'

/** What is used of @julusian/midi. Each object is a client of the ALSA sequencer until `destroy`. */
export interface AlsaLibrary {
  readonly Input: new () => AlsaInput
  readonly Output: new () => AlsaOutput
}

export interface AlsaInput {
  on(event: 'messageBuffer', listener: (deltaTime: number, message: Buffer) => void): unknown
  /** True = is kept back. All are, at first. */
  ignoreTypes(sysEx: boolean, timing: boolean, activeSensing: boolean): void
  /** Does nothing when there is no such port. */
  openPortByName(name: string): void
  openVirtualPort(name: string): void
  isPortOpen(): boolean
  destroy(): void
}

export interface AlsaOutput {
  openPortByName(name: string): void
  openVirtualPort(name: string): void
  isPortOpen(): boolean
  sendMessage(message: Buffer): void
  destroy(): void
}

/**
 * Optional, and a native add-on: loaded when it is needed, and only where there is a sequencer, since ALSA complains on
 * standard error elsewhere. Rejects with an error for the operator. `root` is where /dev is.
 */
export async function loadAlsa(root = '/'): Promise<AlsaLibrary> {
  try {
    await access(join(root, 'dev/snd/seq'), constants.R_OK | constants.W_OK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') {
      throw new Error('not allowed to open /dev/snd/seq: add the user of clasp-edge to the group audio')
    }
    throw new Error('there is no ALSA sequencer (/dev/snd/seq): load the module snd-seq, or use a serial line')
  }
  try {
    // A CommonJS package: whether its names can be seen from outside depends on how it was bundled.
    const loaded = (await import('@julusian/midi')) as unknown as AlsaLibrary & { default?: AlsaLibrary }
    return loaded.default ?? loaded
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isAbsent = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
    const what = isAbsent
      ? 'is not installed: run "npm install @julusian/midi@3" in the folder of clasp-edge'
      : `does not load (${message.split('\n')[0]}): install libasound2, or run "npm rebuild @julusian/midi"`
    throw new Error(`ALSA ports need the package @julusian/midi, which ${what}`)
  }
}
