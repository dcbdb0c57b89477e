import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

const MOUNT_LIMIT_MS = 60_000

/** Four megabytes of memory as a disk of its own; null, and the test is skipped, where mounting is not permitted. */
export function smallDisk(t: TestContext): string | null {
  const folder = mountPoint(t)
  const problem = command('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder)
  return problem === null ? folder : skipped(t, problem)
}

export interface FailingCard {
  folder: string
  /** As after a write error: the kernel makes the file system read-only, whoever has files open. */
  fail(): void
  /** Resolves when the file system was checked by the kernel and can be written to again. */
  mountAgain(): Promise<void>
}

/** A card with ext4 in a file; null, and the test is skipped, where such a thing cannot be had. */
export function failingCard(t: TestContext): FailingCard | null {
  const folder = mountPoint(t)
  const image = join(mkdtempSync(join(tmpdir(), 'clasp-edge-card-')), 'card')
  t.after(() => rmSync(join(image, '..'), { recursive: true }))
  writeFileSync(image, '')
  truncateSync(image, 16_777_216)
  const mount = () => command('mount', '-o', 'loop,errors=remount-ro', image, folder)
  const problem = command('mkfs.ext4', '-q', '-F', image) ?? mount()
  if (problem !== null) return skipped(t, problem)
  return {
    folder,
    fail: () => assert.equal(command('mount', '-o', 'remount,abort', folder), null),
    async mountAgain() {
      // Busy until the router has let go of its files, which it does at its next attempt.
      const deadline = performance.now() + MOUNT_LIMIT_MS
      for (let busy = command('umount', folder); busy !== null; busy = command('umount', folder)) {
        if (performance.now() > deadline) throw new Error(`the router does not let go of its files: ${busy}`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      assert.equal(mount(), null)
    },
  }
}

export function remount(folder: string, mode: 'ro' | 'rw'): void {
  assert.equal(command('mount', '-o', `remount,${mode}`, folder), null)
}

/** Takes all the space that is left. */
export function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (;;) writeSync(file, Buffer.alloc(4096, 1))
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
  } finally {
    closeSync(file)
  }
}

function mountPoint(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'clasp-edge-disk-'))
  t.after(() => {
    // Also when a router still has files there: it is ended by the test as well.
    command('umount', '-l', folder)
    rmSync(folder, { recursive: true })
  })
  return folder
}

function skipped(t: TestContext, problem: string): null {
  t.skip(`NOT TESTED: no disk can be made here (${problem}); run this as root`)
  return null
}

/** Null, or what the command complained about. */
function command(name: string, ...args: string[]): string | null {
  const { status, stderr, error } = spawnSync(name, args, { encoding: 'utf8' })
  return status === 0 ? null : (error?.message ?? stderr).trim()
}
