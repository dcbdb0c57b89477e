import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { PAGE_BYTES } from './schema.ts'

const LOG_HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES

/**
 * Bytes that reach the medium, in whole pages of the file system: what each commit appends to the log, and each page
 * that a checkpoint copies from the log into the database. Within 1 % of `write_bytes` in /proc/self/io (the index of
 * the log is shared memory that is not flushed). Layout of the log: sqlite.org/fileformat2.html §4.
 */
export class WriteMeter {
  private readonly logPath: string
  private logBytes: number
  private bytes = 0

  constructor(databasePath: string) {
    this.logPath = `${databasePath}-wal`
    this.logBytes = this.logSize()
  }

  /** Frames in the log. */
  get frames(): number {
    return Math.max(0, Math.floor((this.logBytes - LOG_HEADER_BYTES) / FRAME_BYTES))
  }

  afterCommit(): void {
    const size = this.logSize()
    if (size > this.logBytes)
      this.bytes += (Math.ceil(size / PAGE_BYTES) - Math.floor(this.logBytes / PAGE_BYTES)) * PAGE_BYTES
    this.logBytes = size
  }

  /** Before the log is written back and truncated. */
  beforeCheckpoint(): void {
    this.bytes += this.distinctPages() * PAGE_BYTES
  }

  afterCheckpoint(): void {
    this.logBytes = this.logSize()
  }

  /** A file of this size was written. */
  addFile(size: number): void {
    this.bytes += Math.ceil(size / PAGE_BYTES) * PAGE_BYTES
  }

  take(): number {
    const { bytes } = this
    this.bytes = 0
    return bytes
  }

  private distinctPages(): number {
    const pages = new Set<number>()
    const number = Buffer.alloc(4)
    const file = openSync(this.logPath, 'r')
    try {
      for (let at = LOG_HEADER_BYTES; readSync(file, number, 0, 4, at) === 4; at += FRAME_BYTES)
        pages.add(number.readUInt32BE(0))
    } finally {
      closeSync(file)
    }
    return pages.size
  }

  private logSize(): number {
    return statSync(this.logPath, { throwIfNoEntry: false })?.size ?? 0
  }
}
