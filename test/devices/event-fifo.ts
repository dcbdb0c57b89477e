import { spawnSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ensureInputReader } from '../../.scripts/native.mjs'

/** Path of clasp-input. */
export function inputReader(): string {
  const native = ensureInputReader()
  if (native.path === undefined) throw new Error(native.reason)
  return native.path
}

export const KEY = 1
export const AXIS = 3

/** struct input_event begins with two longs of the machine. */
const LONG_BYTES = ['arm', 'ia32', 'mipsel'].includes(process.arch) ? 4 : 8
const EVENT_BYTES = 2 * LONG_BYTES + 8

/** An event device that is a fifo: what is written here is what the kernel would say. It goes with the test. */
export class EventFifo {
  readonly path: string
  private fd: number

  /** In a folder that is there, or in one of its own. */
  constructor(t: TestContext, path?: string) {
    const folder = path === undefined ? mkdtempSync(join(tmpdir(), 'clasp-input-')) : undefined
    this.path = path ?? join(String(folder), 'event0')
    this.fd = this.plug()
    t.after(() => {
      this.unplug()
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    })
  }

  /** It is there, and nobody has pressed anything. */
  plug(): number {
    spawnSync('mkfifo', [this.path])
    // Also for reading, so that it does not wait for the other end.
    this.fd = openSync(this.path, constants.O_RDWR)
    return this.fd
  }

  unplug(): void {
    rmSync(this.path, { force: true })
    if (this.fd >= 0) closeSync(this.fd)
    this.fd = -1
  }

  /** `us`: when the kernel saw it, since the Unix epoch. */
  say(type: number, code: number, value: number, us = 0): void {
    const event = Buffer.alloc(EVENT_BYTES)
    const [seconds, rest] = [Math.floor(us / 1_000_000), us % 1_000_000]
    event.writeUInt32LE(seconds, 0)
    event.writeUInt32LE(rest, LONG_BYTES)
    event.writeUInt16LE(type, 2 * LONG_BYTES)
    event.writeUInt16LE(code, 2 * LONG_BYTES + 2)
    event.writeInt32LE(value, 2 * LONG_BYTES + 4)
    writeSync(this.fd, event)
  }

  /** Presses and releases keys, one after the other. */
  type(...codes: readonly number[]): void {
    for (const code of codes) {
      this.say(KEY, code, 1)
      this.say(KEY, code, 0)
    }
  }
}
