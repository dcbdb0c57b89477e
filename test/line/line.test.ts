import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { until } from '../until.ts'
import { Line, type LineOptions } from './line.ts'
import { RawEnd } from './raw-end.ts'

async function openLine(t: TestContext, options: Partial<LineOptions> = {}): Promise<Line> {
  const folder = mkdtempSync(join(tmpdir(), 'line-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return Line.open({ a: join(folder, 'a'), b: join(folder, 'b'), ...options }, t)
}

/** Bytes 0 … 255 over and over. */
const pattern = (length: number) => Buffer.from(Array.from({ length }, (_, i) => i & 255))

test('every byte value goes both ways unchanged', async (t) => {
  const line = await openLine(t)
  const [a, b] = [new RawEnd(line.a, t), new RawEnd(line.b, t)]
  const sent = pattern(100_000)
  await Promise.all([a.write(sent), b.write(sent)])
  await until(() => a.received.length >= sent.length && b.received.length >= sent.length, 'the bytes')
  assert.ok(a.received.equals(sent))
  assert.ok(b.received.equals(sent))
  const stats = await line.stats()
  assert.equal(stats['a->b'].delivered, sent.length)
  assert.equal(stats['b->a'].carried, sent.length)
})

test('bytes take the time that the baud rate gives them', async (t) => {
  const line = await openLine(t, { baud: 115_200 })
  const [a, b] = [new RawEnd(line.a, t), new RawEnd(line.b, t)]
  const start = performance.now()
  await a.write(pattern(2304))
  await until(() => b.received.length === 2304, 'the bytes')
  // 2304 bytes are 200 ms at 11 520 a second; only a line that is too fast is certainly wrong.
  assert.ok(performance.now() - start >= 195)
})

test('an end that is open and not read stops the sender, and nothing is lost', async (t) => {
  const line = await openLine(t)
  const [a, b] = [new RawEnd(line.a, t), new RawEnd(line.b, t)]
  b.pause()
  const sent = pattern(200_000)
  let isWritten = false
  const writing = a.write(sent).then(() => {
    isWritten = true
  })
  let [before, carried] = [-1, 0]
  while (carried === 0 || carried > before) {
    before = carried
    await new Promise((resolve) => setTimeout(resolve, 50))
    carried = (await line.stats())['a->b'].carried
  }
  assert.equal(isWritten, false)
  assert.ok(carried < 50_000, `${carried} bytes disappeared into the line`)
  b.resume()
  await writing
  await until(() => b.received.length === sent.length, 'the bytes')
  assert.ok(b.received.equals(sent))
})

test('faults come as often as asked, are counted, and are the same again for the same seed', async (t) => {
  const runs: Buffer[] = []
  for (let run = 0; run < 2; run++) {
    const line = await openLine(t, { seed: 7 })
    await line.setFaults('a->b', { flip: 0.02, drop: 0.01, dup: 0.01, insert: 0.01 })
    const [a, b] = [new RawEnd(line.a, t), new RawEnd(line.b, t)]
    await a.write(pattern(100_000))
    await b.write(pattern(1000))
    await until(() => a.received.length === 1000, 'the other direction')
    assert.ok(a.received.equals(pattern(1000)), 'faults are for one direction')
    let stats = (await line.stats())['a->b']
    while (stats.carried < 100_000 || stats.onWire > 0) stats = (await line.stats())['a->b']
    await until(() => b.received.length === stats.delivered, 'the bytes')
    assert.equal(stats.delivered, stats.carried - stats.dropped + stats.duplicated + stats.inserted)
    for (const [count, chance] of [
      [stats.flipped, 0.02],
      [stats.dropped, 0.01],
      [stats.duplicated, 0.01],
      [stats.inserted, 0.01],
    ]) {
      // Five standard deviations.
      assert.ok(Math.abs(count - 100_000 * chance) < 5 * Math.sqrt(100_000 * chance), `${count} for ${chance}`)
    }
    runs.push(b.received)
  }
  assert.ok(runs[0].equals(runs[1]))
})

test('an unplugged end hangs up, and a plugged one is a new terminal', async (t) => {
  const line = await openLine(t)
  const [a, b] = [new RawEnd(line.a, t), new RawEnd(line.b, t)]
  await line.unplug('b')
  assert.equal(existsSync(line.b), false)
  await until(() => b.isGone, 'the hang-up')
  await a.write('lost')
  // It is on its way until it has gone nowhere.
  for (let unheard = 0; unheard < 4; ) unheard = (await line.stats())['a->b'].unheard
  await line.plug('b')
  const again = new RawEnd(line.b, t)
  await a.write('heard')
  await until(() => again.received.length >= 5, 'the bytes')
  assert.equal(again.received.toString(), 'heard')
  assert.equal((await line.stats())['a->b'].unheard, 4)
})

test('bytes for an end that nobody has open are lost', async (t) => {
  const line = await openLine(t)
  const a = new RawEnd(line.a, t)
  const b = new RawEnd(line.b, t)
  b.close()
  await a.write('lost')
  let stats = await line.stats()
  while (stats['a->b'].unheard < 4) stats = await line.stats()
  const again = new RawEnd(line.b, t)
  await a.write('heard')
  await until(() => again.received.length >= 5, 'the bytes')
  assert.equal(again.received.toString(), 'heard')
})

test('closing the line hangs up both ends and removes the symlinks', async (t) => {
  const line = await openLine(t, { baud: 115_200 })
  const [a, b] = [new RawEnd(line.a, t), new RawEnd(line.b, t)]
  await a.write('x')
  await until(() => b.received.length === 1, 'a byte')
  await line.close()
  assert.equal(existsSync(line.a) || existsSync(line.b), false)
  await until(() => a.isGone && b.isGone, 'the hang-up')
  await assert.rejects(line.stats(), /has ended/)
})

test('a wrong command is refused in words', async (t) => {
  const line = await openLine(t)
  await assert.rejects(line.setFaults('a->b', { flip: 2 }), /a number from 0 to 1/)
  await assert.rejects(line.setBaud(Number.NaN), /a number or follow/)
})
