import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { exportText, importLine } from '../../runtime/cli/journal-line.ts'
import { cli, RunningCommand } from './run-cli.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'clasp-edge-cli-journal-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A router with a journal in `place/journal`, as the command line starts it. */
async function start(place: string) {
  const config = join(place, 'config.yaml')
  writeFileSync(
    config,
    'listen: { host: 127.0.0.1, port: 0, udp: false }\ndiscovery: { mdns: false, broadcast: false }\nsimulate: false\n' +
      `journal: { folder: ${place}/journal, durability: [{ pattern: /**, mode: sync }] }\n`,
  )
  const running = new RunningCommand(['run', '--config', config])
  const [, port] = await running.printed(/ws:\/\/127\.0\.0\.1:(\d+)/)
  const url = `ws://127.0.0.1:${port}`
  const stop = async () => {
    running.child.kill('SIGTERM')
    return running.exited
  }
  return { url, config, stop, running }
}

test('what was set is back after a restart, and the journal commands show, copy and shrink it', async (t) => {
  const place = folder(t)
  const first = await start(place)
  await cli(['set', '--url', first.url, '/show/level', '0.5'])
  await cli(['set', '--url', first.url, '--json', '/show/look', '{"red": 1, "name": "warm"}'])
  await cli(['emit', '--url', first.url, '/cue/go'])

  // The folder is known by the configuration, and may be read while the router runs.
  const stats = await cli(['journal', 'stats', '--config', first.config])
  assert.equal(stats.code, 0, stats.stderr)
  assert.match(stats.stdout, /params +2\n/)
  const replay = await cli(['journal', 'replay', '--config', first.config, '/show/**', '--from', '1h'])
  assert.match(replay.stdout, /\/show\/level +0\.5 +param revision 1\n.*\/show\/look/)
  assert.doesNotMatch(replay.stdout, /cue/)
  const busy = await cli(['journal', 'vacuum', '--config', first.config])
  assert.equal(busy.code, 1)
  assert.match(busy.stderr, new RegExp(`${first.running.child.pid}`), 'the owner is named')

  const { code } = await first.stop()
  assert.equal(code, 0)
  const second = await start(place)
  const { stdout } = await cli(['get', '--url', second.url, '/show/level'])
  assert.equal(stdout, '0.5\n')
  await second.stop()

  const exported = await cli(['journal', 'export', '--folder', join(place, 'journal')])
  assert.equal(exported.stdout.trim().split('\n').length, 2 + 3)
  const copy = join(place, 'copy')
  const imported = await cli(['journal', 'import', '--folder', copy, '-'], { input: exported.stdout })
  assert.match(imported.stdout, /^3 entries and 2 params imported/)
  const again = await cli(['journal', 'export', '--folder', copy])
  assert.equal(again.stdout, exported.stdout)
  const vacuum = await cli(['journal', 'vacuum', '--folder', copy])
  assert.equal(vacuum.code, 0, vacuum.stderr)
})

test('mistakes are told in words: no journal, no file, a line that is none', async (t) => {
  const place = folder(t)
  const fails = async (args: string[], words: RegExp, code = 1, input = '') => {
    const outcome = await cli(['journal', ...args], { input })
    assert.equal(outcome.code, code)
    assert.match(outcome.stderr, words)
    assert.doesNotMatch(outcome.stderr, /\n {4}at /, 'no stack trace')
  }
  await fails(['stats', '--folder', join(place, 'nowhere')], /nowhere does not exist/)
  await fails(['stats', '--folder', place], /there is no journal\.db in/)
  await fails(['import', '--folder', place, join(place, 'nix.jsonl')], /nix\.jsonl cannot be read \(ENOENT\)/)
  await fails(['import', '--folder', place, '-'], /-:2: this is not JSON/, 1, '\nhello\n')
  await fails(['import', '--folder', place, '-'], /-:1: "time" must be/, 1, '{"kind":"param"}\n')
  await fails(['replay', '--folder', place, '--from', 'yesterday'], /"yesterday" is not a time/, 2)
  writeFileSync(join(place, 'journal.db'), 'this is not a database, but it is long enough to look at')
  await fails(['stats', '--folder', place], /the database in .* is damaged \(file is not a database\)/)
})

test('an exported line holds every value, whatever JSON can say', () => {
  const values: (Value | null)[] = [
    null,
    { type: 'null' },
    { type: 'bool', value: true },
    { type: 'i64', value: -5 },
    { type: 'i64', value: 9007199254740993n },
    { type: 'f64', value: 1 },
    { type: 'f64', value: 0.1 },
    { type: 'f64', value: Number.NaN },
    { type: 'f64', value: Number.NEGATIVE_INFINITY },
    { type: 'string', value: 'a "quoted"\nline' },
    { type: 'bytes', value: Uint8Array.of(0, 255) },
    { type: 'array', value: [{ type: 'f64', value: 2 }, { type: 'i64', value: 2 }, { type: 'null' }] },
    { type: 'map', value: [['a', { type: 'bytes', value: Uint8Array.of(1) }]] },
  ]
  for (const value of values) {
    const line = {
      kind: 'entry',
      seq: 3,
      timeUs: 1_700_000_000_000_000,
      author: 'a',
      address: '/x',
      signal: 'event',
      value,
      revision: 0,
    } as const
    const text = exportText(line)
    assert.doesNotMatch(text, /\n/)
    const back = importLine(text, 'line')
    assert.deepEqual(back, line)
  }
})
