import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ensureLineHolder } from '../../.scripts/native.mjs'

/** Path of the clasp-io of which the lines are files. */
export function fakeHolder(): string {
  const native = ensureLineHolder('.', true)
  if (native.path === undefined) throw new Error(native.reason)
  return native.path
}

/** A GPIO chip that is a folder; see devices/io/c/lines_fake.c. It goes with the test. */
export class FakeChip {
  readonly root: string
  private readonly folder: string

  /** `names` by offset. Several chips may share a root. */
  constructor(t: TestContext, names: readonly string[], chip = 'gpiochip0', root?: string) {
    this.root = root ?? mkdtempSync(join(tmpdir(), 'clasp-gpio-'))
    if (root === undefined) t.after(() => rmSync(this.root, { recursive: true, force: true }))
    this.folder = join(this.root, chip)
    mkdirSync(this.folder)
    for (const [offset, name] of names.entries()) {
      writeFileSync(join(this.folder, `${offset}.name`), name)
      spawnSync('mkfifo', [join(this.folder, `${offset}.in`)])
    }
  }

  /** `0`, `1`, `z` (high impedance), or '' when nobody has set it. */
  level(offset: number): string {
    try {
      return readFileSync(join(this.folder, `${offset}.value`), 'latin1')
    } catch {
      return ''
    }
  }

  /** Levels that an input takes, one after the other. */
  async drive(offset: number, levels: string): Promise<void> {
    await appendFile(join(this.folder, `${offset}.in`), levels)
  }

  /** Another program has the line. */
  occupy(offset: number, consumer: string): void {
    writeFileSync(join(this.folder, `${offset}.busy`), consumer)
  }

  free(offset: number): void {
    rmSync(join(this.folder, `${offset}.busy`))
  }
}
