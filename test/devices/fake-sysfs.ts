import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'

/** A copy of some files of the kernel, in a folder that goes with the test. */
export class FakeSysfs {
  readonly root: string

  constructor(t: TestContext) {
    this.root = mkdtempSync(join(tmpdir(), 'clasp-sysfs-'))
    t.after(() => rmSync(this.root, { recursive: true, force: true }))
  }

  /** Attributes of a device, each with the end of line that the kernel writes. */
  write(folder: string, attributes: Readonly<Record<string, string | number>>): void {
    for (const [name, value] of Object.entries(attributes)) {
      const path = join(this.root, folder, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, `${value}\n`)
    }
  }

  /** `from` leads to `to`; both below the root. */
  link(from: string, to: string): void {
    mkdirSync(dirname(join(this.root, from)), { recursive: true })
    symlinkSync(join(this.root, to), join(this.root, from))
  }

  remove(path: string): void {
    rmSync(join(this.root, path), { recursive: true, force: true })
  }
}
