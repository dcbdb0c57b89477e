import { readFile } from 'node:fs/promises'

/** Why a file of the kernel cannot be read; `isGone`: what it stood for is not there any more. */
export class SysfsError extends Error {
  readonly isGone: boolean

  constructor(message: string, isGone: boolean) {
    super(message)
    this.isGone = isGone
  }
}

/** What one attribute of a device says, without the end of its line. Rejects with a SysfsError. */
export async function readAttribute(path: string): Promise<string> {
  try {
    return (await readFile(path, 'latin1')).trimEnd()
  } catch (error) {
    throw refusal(path, error as NodeJS.ErrnoException)
  }
}

/** The same where the attribute need not be there. */
export function readOptional(path: string): Promise<string | undefined> {
  return readAttribute(path).catch(() => undefined)
}

/** A decimal number, perhaps with a fraction. Rejects with a SysfsError. */
export async function readNumber(path: string): Promise<number> {
  const text = await readAttribute(path)
  const value = Number(text)
  if (text !== '' && Number.isFinite(value)) return value
  throw new SysfsError(`${path} says "${text.slice(0, 40)}", which is no number`, false)
}

function refusal(path: string, { code, message }: NodeJS.ErrnoException): SysfsError {
  if (code === 'ENOENT' || code === 'ENODEV') {
    return new SysfsError(`${path} has gone: was it unplugged, or its driver unloaded?`, true)
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new SysfsError(`not allowed to read ${path}: give it to the user of this process by a udev rule`, false)
  }
  if (code === 'ENODATA' || code === 'EAGAIN') return new SysfsError(`${path} has no reading at present`, false)
  return new SysfsError(`${path} cannot be read (${code ?? message}): check power and wires, and see dmesg`, false)
}
