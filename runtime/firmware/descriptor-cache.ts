import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Op } from '../../firmware-protocol/link/constants.ts'
import { type Descriptor, DescriptorBuilder } from '../../firmware-protocol/link/descriptor.ts'
import { RecordReader } from '../../firmware-protocol/link/record-reader.ts'
import type { Log } from '../router/log.ts'

/** Descriptors on disk; the longest unused ones give way. */
const MAX_FILES = 256
const MAX_IN_MEMORY = 1024

/**
 * What devices have said of themselves, by uid and hash, so that a known one need not say it again. In memory, and in a
 * folder where one is given: a failing disk costs a device some milliseconds at its next start and nothing else.
 */
export class DescriptorCache {
  private readonly folder: string | undefined
  private readonly log: Log
  private readonly byKey = new Map<string, Descriptor>()
  private writing: Promise<void> = Promise.resolve()

  constructor(folder: string | undefined, log: Log) {
    this.folder = folder
    this.log = log
  }

  /** Reads what is on disk, whatever of it can be read. */
  async load(): Promise<void> {
    const { folder } = this
    if (folder === undefined) return
    try {
      await mkdir(folder, { recursive: true })
      const names = (await readdir(folder)).filter((name) => /^[0-9a-f]{16}-[0-9a-f]{8}$/.test(name))
      for (const name of names.slice(0, MAX_FILES)) {
        const descriptor = parse(await readFile(join(folder, name)), Number.parseInt(name.slice(17), 16))
        if (descriptor !== null) this.byKey.set(name, descriptor)
        else await rm(join(folder, name), { force: true })
      }
    } catch (error) {
      this.log.warn('descriptors of devices cannot be kept', { folder, error: (error as Error).message })
    }
  }

  get(uid: string, hash: number): Descriptor | undefined {
    const key = keyOf(uid, hash)
    const descriptor = this.byKey.get(key)
    if (descriptor !== undefined) {
      // The one that was used last goes last.
      this.byKey.delete(key)
      this.byKey.set(key, descriptor)
    }
    return descriptor
  }

  put(uid: string, descriptor: Descriptor): void {
    const key = keyOf(uid, descriptor.hash)
    this.byKey.set(key, descriptor)
    for (const oldest of this.byKey.keys()) {
      if (this.byKey.size <= MAX_IN_MEMORY) break
      this.byKey.delete(oldest)
    }
    if (this.folder === undefined) return
    const { folder } = this
    // One after the other, and beside the way of any message.
    this.writing = this.writing
      .then(async () => {
        const path = join(folder, key)
        await writeFile(`${path}.new`, descriptor.bytes)
        await rename(`${path}.new`, path)
        await this.prune(folder)
      })
      .catch((error: Error) => this.log.warn('a descriptor cannot be kept', { folder, error: error.message }))
  }

  /** Resolves when everything is on disk. */
  flushed(): Promise<void> {
    return this.writing
  }

  private async prune(folder: string): Promise<void> {
    const names = await readdir(folder)
    if (names.length <= MAX_FILES) return
    const ages = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })))
    ages.sort((a, b) => a.at - b.at)
    for (const { name } of ages.slice(0, names.length - MAX_FILES)) await rm(join(folder, name), { force: true })
  }
}

function keyOf(uid: string, hash: number): string {
  return `${uid}-${hash.toString(16).padStart(8, '0')}`
}

function parse(bytes: Uint8Array, hash: number): Descriptor | null {
  const reader = new RecordReader()
  const builder = new DescriptorBuilder()
  reader.open(bytes, 0, bytes.length)
  while (reader.next()) {
    if (reader.op !== Op.declare && reader.op !== Op.info) return null
    if (builder.add(reader) !== null) return null
  }
  if (reader.at < reader.end) return null
  const descriptor = builder.finish(hash)
  return typeof descriptor === 'string' ? null : descriptor
}
