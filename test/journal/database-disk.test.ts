import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { type DatabaseThread, putParam, startThread } from './database-fixture.ts'

const mount = (...args: string[]) => spawnSync('mount', args).status === 0

/** A file system of its own, or null where this process may not mount one. */
function smallDisk(t: TestContext): string | null {
  const disk = mkdtempSync(join(tmpdir(), 'clasp-journal-disk-'))
  t.after(() => {
    spawnSync('umount', ['-l', disk])
    rmSync(disk, { recursive: true, force: true })
  })
  if (mount('-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk)) return disk
  t.skip('mounting a tmpfs needs root')
  return null
}

/** Fills what is left, to the last page. */
function fill(disk: string): void {
  for (const size of [1_048_576, 65_536, 4096])
    for (let i = 0; i < 64; i++) {
      const path = join(disk, `fill-${size}-${i}`)
      try {
        writeFileSync(path, Buffer.alloc(size, 1))
      } catch {
        rmSync(path)
        break
      }
    }
}

function free(disk: string): void {
  for (const name of readdirSync(disk)) if (name.startsWith('fill')) rmSync(join(disk, name))
}

function put(thread: DatabaseThread, n: number) {
  return thread.commit((batch) => {
    batch.author(1, 'ann')
    batch.address(1, '/a')
    putParam(batch, 1, n)
  })
}

/** Commits until the disk takes no more; returns the last revision that was committed, and the failure. */
async function putUntilFailure(thread: DatabaseThread, from: number) {
  for (let n = from; ; n++) {
    const answer = await put(thread, n)
    if (answer.type === 'failed') return { committed: n - 1, problem: answer.problem }
  }
}

describe('a failing disk', () => {
  it('that fills up fails the commit and stores nothing of it; after space is freed all goes on', async (t) => {
    const disk = smallDisk(t)
    if (disk === null) return
    const thread = startThread(t, disk)
    await thread.open()
    await put(thread, 1)
    fill(disk)
    const { committed, problem } = await putUntilFailure(thread, 2)
    assert.equal(problem.kind, 'full')
    assert.match(problem.words, /no space left in .*: free some/)
    fill(disk)
    const refusal = await thread.tryOpen()
    // What was written back when the database was let go may have made room for this.
    if (refusal.type === 'unavailable') assert.equal(refusal.problem.kind, 'full', refusal.problem.words)
    free(disk)
    const summary = await thread.open()
    assert.deepEqual([summary.wasCrash, thread.stored.get('/a')?.revision], [false, committed])
    assert.equal((await put(thread, 500)).type, 'committed')
    await thread.close()
  })

  it('that is full at the start still gives the state back', async (t) => {
    const disk = smallDisk(t)
    if (disk === null) return
    const first = startThread(t, disk)
    await first.open()
    await put(first, 7)
    await first.close()
    fill(disk)
    const thread = startThread(t, disk)
    const summary = await thread.open()
    assert.equal(summary.problem?.kind, 'full')
    assert.equal(thread.stored.get('/a')?.revision, 7)
    assert.equal((await put(thread, 8)).type, 'failed')
    assert.equal((await thread.tryOpen()).type, 'unavailable')
    free(disk)
    const later = await thread.open()
    assert.equal(later.problem, undefined)
    assert.equal((await put(thread, 9)).type, 'committed')
    await thread.close()
  })

  it('that is read-only at the start still gives the state back, and is used once it is writable', async (t) => {
    const disk = smallDisk(t)
    if (disk === null) return
    const first = startThread(t, disk)
    await first.open()
    await put(first, 7)
    await first.close()
    assert.ok(mount('-o', 'remount,ro', disk))
    const thread = startThread(t, disk)
    const summary = await thread.open()
    assert.equal(summary.problem?.kind, 'read-only')
    assert.match(summary.problem?.words ?? '', /read-only: mount it writable/)
    assert.equal(thread.stored.get('/a')?.revision, 7)
    assert.ok(mount('-o', 'remount,rw', disk))
    await thread.open()
    assert.equal((await put(thread, 8)).type, 'committed')
    const other = startThread(t, disk)
    assert.equal((await other.tryOpen()).type, 'unavailable')
    await thread.close()
  })

  it('that is read-only and empty is unavailable', async (t) => {
    const disk = smallDisk(t)
    if (disk === null) return
    assert.ok(mount('-o', 'remount,ro', disk))
    const thread = startThread(t, join(disk, 'journal'))
    const refusal = await thread.tryOpen()
    assert.equal(refusal.type === 'unavailable' && refusal.problem.kind, 'read-only', JSON.stringify(refusal))
    await thread.close()
  })
})
