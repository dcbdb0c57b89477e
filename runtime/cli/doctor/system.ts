import type { Stats } from 'node:fs'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Config } from '../../config/schema.ts'
import type { BoardView } from '../board-view.ts'
import type { DeviceNeed } from '../device-needs.ts'
import type { LiveSystem } from './live-system.ts'
import type { User } from './user.ts'

/** What the checks look at. */
export interface System {
  files: SystemFiles
  view: BoardView
  config: Config
  /** What its devices cannot do without. */
  needs: readonly DeviceNeed[]
  /** Who runs clasp-edge. */
  user: User
  /** Undefined when the files of another system are looked at: then only they can be checked. */
  live?: LiveSystem
}

/** Files of the system below a folder. Nothing rejects: what is not there or may not be read is empty. */
export class SystemFiles {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  /** Without the line end; undefined when it cannot be read. */
  async text(path: string): Promise<string | undefined> {
    return readFile(join(this.root, path), 'utf8').then(
      (text) => text.replace(/[\n\0]+$/, ''),
      () => undefined,
    )
  }

  /** Names in a folder, sorted, those that match. */
  async names(folder: string, pattern = /./): Promise<string[]> {
    const names = await readdir(join(this.root, folder)).catch(() => [])
    return names.filter((name) => pattern.test(name)).sort()
  }

  async stat(path: string): Promise<Stats | undefined> {
    return stat(join(this.root, path)).catch(() => undefined)
  }

  /** Where a link leads, within the system. */
  async target(path: string): Promise<string | undefined> {
    const [target, root] = await Promise.all([
      realpath(join(this.root, path)).catch(() => undefined),
      realpath(this.root).catch(() => this.root),
    ])
    return target === undefined ? undefined : `/${relative(root, target)}`
  }
}
