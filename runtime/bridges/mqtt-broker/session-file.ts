import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { applyLine, type StoredSession } from './stored-session.ts'

const CHUNK_BYTES = 65_536

/** Sessions as they were when the file was last written; a torn end is left out. Rejects when it cannot be read. */
export async function readSessions(path: string): Promise<Map<string, StoredSession>> {
  const sessions = new Map<string, StoredSession>()
  /** Of a line that is not over: a file of zeros, as a power cut may leave one, is a single line. */
  const begun: string[] = []
  try {
    for await (const chunk of createReadStream(path, 'utf8')) {
      const lines = (chunk as string).split('\n')
      if (lines.length > 1) lines[0] = begun.splice(0).join('') + lines[0]
      begun.push(lines.pop() ?? '')
      if (!lines.every((line) => applyLine(line, sessions))) break
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return sessions
}

/** Lines are added to its end; as a whole it is replaced at once, so that there is always one that can be read. */
export class SessionFile {
  readonly path: string
  /** Of what was written last as a whole, and what it has now. */
  wholeBytes = 0
  bytes = 0
  private handle: FileHandle | null = null

  constructor(path: string) {
    this.path = path
  }

  /** Replaces all. What is lost when it rejects is no more than these lines. */
  async replace(lines: Iterable<string>): Promise<void> {
    await this.close()
    await mkdir(dirname(this.path), { recursive: true })
    const fresh = `${this.path}.new`
    const handle = await open(fresh, 'w', 0o600)
    this.bytes = 0
    try {
      await this.write(handle, lines)
      await rename(fresh, this.path)
      const folder = await open(dirname(this.path))
      await folder.sync().finally(() => folder.close())
    } catch (error) {
      await handle.close().catch(() => {})
      // Of a disk that is full, it would take what is left.
      await rm(fresh, { force: true }).catch(() => {})
      throw error
    }
    this.handle = handle
    this.wholeBytes = this.bytes
  }

  /** Resolves when they are on the disk; after a rejection, it has to be replaced. */
  async add(lines: Iterable<string>): Promise<void> {
    const { handle, bytes } = this
    if (handle === null) return
    try {
      await this.write(handle, lines)
    } catch (error) {
      // Of a disk that is full, it took the room that is needed to replace all.
      await handle.truncate(bytes).catch(() => {})
      throw error
    }
  }

  async close(): Promise<void> {
    const { handle } = this
    this.handle = null
    await handle?.close()
  }

  private async write(handle: FileHandle, lines: Iterable<string>): Promise<void> {
    const before = this.bytes
    let chunk = ''
    for (const line of lines) {
      chunk += line
      if (chunk.length < CHUNK_BYTES) continue
      await this.put(handle, chunk)
      chunk = ''
    }
    if (chunk !== '') await this.put(handle, chunk)
    // Nothing new wears nothing.
    if (this.bytes > before) await handle.datasync()
  }

  private async put(handle: FileHandle, text: string): Promise<void> {
    const bytes = Buffer.from(text)
    this.bytes += bytes.length
    await handle.writeFile(bytes)
  }
}
