import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MAX_DESCRIPTOR_BYTES, Op } from '../../firmware-protocol/link/constants.ts'
import { type Descriptor, DescriptorBuilder } from '../../firmware-protocol/link/descriptor.ts'
import { RecordReader } from '../../firmware-protocol/link/record-reader.ts'
import type { Log } from '../router/log.ts'

/** Descriptors on disk; the longest unused ones give way. */
const MAX_FILES = 256
const MAX_IN_MEMORY = 1024
/** Of all descriptors in memory: a faulty device could make up one after the other. */
const MAX_BYTES_IN_MEMORY = 2_097_152
const NAME = /^[0-9a-f]{16}-[0-9a-f]{8}(\.new)?$/

/**
 * What devices have said of themselves, by uid and hash, so that a known one need not say it again. In memory, and in a
 * folder where one is given: a failing disk costs a device some milliseconds at its next start and nothing else.
 */
export class DescriptorCache {
  private readonly folder: string | undefined
  private readonly log: Log
  private readonly byKey = new Map<string, Descriptor>()
  private bytes = 0
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
      const names = (await readdir(folder)).filter((name) => NAME.test(name))
      for (const name of names.slice(0, MAX_FILES)) {
        const descriptor = await read(join(folder, name), name)
        if (descriptor !== null) this.keep(name, descriptor)
        else await rm(join(folder, name), { force: true }).catch(() => {})
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
    if (this.byKey.has(key)) return
    this.keep(key, descriptor)
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

  private keep(key: string, descriptor: Descriptor): void {
    this.byKey.set(key, descriptor)
    this.bytes += descriptor.bytes.length
    for (const [oldest, { bytes }] of this.byKey) {
      if (this.byKey.size <= MAX_IN_MEMORY && this.bytes <= MAX_BYTES_IN_MEMORY) break
      this.byKey.delete(oldest)
      this.bytes -= bytes.length
    }
  }

  private async prune(folder: string): Promise<void> {
    const names = (await readdir(folder)).filter((name) => NAME.test(name))
    if (names.length <= MAX_FILES) return
    const ages = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })))
    ages.sort((a, b) => a.at - b.at)
    for (const { name } of ages.slice(0, names.length - MAX_FILES)) await rm(join(folder, name), { force: true })
  }
}

function keyOf(uid: string, hash: number): string {
  return `${uid}-${hash.toString(16).padStart(8, '0')}`
}

/** Null: whatever it is, it is no descriptor. */
async function read(path: string, name: string): Promise<Descriptor | null> {
  try {
    if ((await stat(path)).size > MAX_DESCRIPTOR_BYTES) return null
    return parse(await readFile(path), Number.parseInt(name.slice(17), 16))
  } catch {
    return null
  }
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
