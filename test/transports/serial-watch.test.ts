import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../runtime/router/clock.ts'
import { watchSerialPorts } from '../../runtime/transports/serial-watch.ts'
import { Line } from '../line/line.ts'
import { until } from '../until.ts'

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'watch-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

interface Watched {
  changes: number
  stop: () => void
}

async function watchFor(t: TestContext, root: string, paths: string[] = []): Promise<Watched> {
  const abort = new AbortController()
  t.after(() => abort.abort())
  const watched: Watched = { changes: 0, stop: () => abort.abort() }
  await watchSerialPorts(
    { clock: systemClock, root, paths },
    () => {
      watched.changes++
    },
    abort.signal,
  )
  return watched
}

/** Does it, and waits until it is noticed. Returns the time that took, ms. */
async function noticed(watched: Watched, act: () => void | Promise<void>, what: string): Promise<number> {
  const before = watched.changes
  const start = performance.now()
  await act()
  await until(() => watched.changes > before, what)
  return performance.now() - start
}

test('ports that come and go are noticed', async (t) => {
  const root = folderFor(t)
  mkdirSync(join(root, 'dev'))
  const watched = await watchFor(t, root)
  const port = join(root, 'dev/ttyUSB0')
  await noticed(watched, () => writeFileSync(port, ''), 'a port')
  await noticed(watched, () => rmSync(port), 'the end of the port')
})

test('a change of the links and of the rights is noticed', async (t) => {
  const root = folderFor(t)
  mkdirSync(join(root, 'dev'))
  const port = join(root, 'dev/ttyUSB0')
  writeFileSync(port, '', { mode: 0o600 })
  const watched = await watchFor(t, root)
  await noticed(watched, () => chmodSync(port, 0o660), 'the rights')
  const folder = join(root, 'dev/serial/by-id')
  const link = () => {
    mkdirSync(folder, { recursive: true })
    symlinkSync('../../ttyUSB0', join(folder, 'usb-board'))
  }
  await noticed(watched, link, 'a link in a new folder')
  await noticed(watched, () => rmSync(join(root, 'dev/serial'), { recursive: true }), 'the end of the folder')
  await noticed(watched, link, 'the folder that came back')
})

test('what is no port is ignored', async (t) => {
  const root = folderFor(t)
  mkdirSync(join(root, 'dev'))
  const watched = await watchFor(t, root)
  for (const name of ['null', 'tty1', 'sda']) writeFileSync(join(root, 'dev', name), '')
  const port = join(root, 'dev/ttyACM0')
  await noticed(watched, () => writeFileSync(port, ''), 'a port')
  writeFileSync(port, 'data')
  writeFileSync(join(root, 'dev/null'), 'data')
  await noticed(watched, () => rmSync(port), 'the end of the port')
  assert.equal(watched.changes, 2)
})

test('a configured path is watched wherever it is, also in a folder that is made later', async (t) => {
  const root = folderFor(t)
  const watched = await watchFor(t, root, ['/run/board'])
  const make = () => {
    mkdirSync(join(root, 'run'))
    symlinkSync('/dev/null', join(root, 'run/board'))
  }
  await noticed(watched, make, 'the path')
  symlinkSync('/dev/zero', join(root, 'run/other'))
  await noticed(watched, () => renameSync(join(root, 'run/other'), join(root, 'run/board')), 'another target')
})

test('an unplugged and replugged board is noticed at once', async (t) => {
  const folder = folderFor(t)
  const line = await Line.open({ a: join(folder, 'a'), b: join(folder, 'b') }, t)
  const watched = await watchFor(t, '/', [line.a])
  const unplugMs = await noticed(watched, () => line.unplug('a'), 'the unplugging')
  const plugMs = await noticed(watched, () => line.plug('a'), 'the plugging')
  await noticed(watched, async () => void (await Promise.all([line.unplug('a'), line.plug('a')])), 'a quick replug')
  t.diagnostic(`noticed unplugging after ${unplugMs.toFixed(0)} ms, plugging after ${plugMs.toFixed(0)} ms`)
})

test('after the signal nothing is reported', async (t) => {
  const root = folderFor(t)
  mkdirSync(join(root, 'dev'))
  const stopped = await watchFor(t, root)
  const other = await watchFor(t, root)
  stopped.stop()
  await noticed(other, () => writeFileSync(join(root, 'dev/ttyUSB0'), ''), 'a port')
  assert.equal(stopped.changes, 0)
})
