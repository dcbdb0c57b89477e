import assert from 'node:assert/strict'
import fs, { mkdtempSync, rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Line } from '../line/line.ts'
import { RawEnd } from '../line/raw-end.ts'
import { BridgeScene } from './bridge-scene.ts'
import { FakeWidget } from './dmx/fake-widget.ts'

const PROMISE_MS = 5
const MESSAGES = 100
/** A busy machine may spoil a round. */
const ROUNDS = 6
/** Of a frame: 7E 06 01 02, the start code, and channel 1. */
const LABEL_AT = 1
const SEND_LABEL = 6
const CHANNEL_1_AT = 5
/** Above the period of the DMX frames, 22.7 ms: a change does not wait for the one before. */
const PAUSE_MS = 25
const GIVE_UP_MS = 10_000

/** When the process has read a controller from a port, and when it writes its frame to one, ms; by the value. */
function watchPorts(t: TestContext) {
  const { readSync, writeSync } = fs
  const seen = { read: 0, written: 0 }
  let wanted = 0
  fs.readSync = ((fd: number, bytes: Uint8Array, ...rest: [number, number, null]) => {
    const length = readSync(fd, bytes, ...rest)
    if (length === 3 && bytes[0] === 0xb0 && bytes[2] === wanted) seen.read = performance.now()
    return length
  }) as typeof fs.readSync
  fs.writeSync = ((fd: number, bytes: Uint8Array, ...rest: [number]) => {
    const isFrame = bytes[LABEL_AT] === SEND_LABEL && bytes[CHANNEL_1_AT] === wanted * 2
    if (isFrame) seen.written = performance.now()
    return writeSync(fd, bytes, ...rest)
  }) as typeof fs.writeSync
  syncBuiltinESMExports()
  t.after(() => {
    Object.assign(fs, { readSync, writeSync })
    syncBuiltinESMExports()
  })
  return {
    seen,
    expect(value: number) {
      wanted = value
      seen.read = 0
      seen.written = 0
    },
  }
}

test('a MIDI controller moves a DMX channel on the wire within 5 ms', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'midi-dmx-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const [midi, dmx] = await Promise.all(
    ['midi', 'dmx'].map((name) => Line.open({ a: join(folder, name), b: join(folder, `${name}-far`) }, t)),
  )
  const pad = new RawEnd(midi.b, t)
  const widget = new FakeWidget(dmx.b, t)
  const scene = await BridgeScene.start(
    t,
    `- id: pad
  kind: midi
  ports: [{port: ${midi.a}, name: pad}]
  map:
    - {match: /midi/pad/ch/0/cc/7, to: /dmx/0/1, direction: in, transform: [{type: linear, scale: 2}]}
- {id: stage, kind: dmx, type: enttec-pro, port: ${dmx.a}, refresh: 44}`,
  )
  assert.deepEqual([scene.report('pad').state, scene.report('stage').state], ['running', 'running'])

  const ports = watchPorts(t)
  /** From read to write, and from one terminal to the other, ms. */
  async function latency(value: number): Promise<{ inside: number; outside: number }> {
    ports.expect(value)
    const begin = performance.now()
    await pad.write(Uint8Array.of(0xb0, 7, value))
    while (widget.frames.at(-1)?.[1] !== value * 2) {
      if (performance.now() - begin > GIVE_UP_MS) throw new Error(`no frame with ${value * 2} in channel 1`)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const { read, written } = ports.seen
    assert.ok(read > begin && written > read)
    return { inside: written - read, outside: performance.now() - begin }
  }

  let p99 = Number.POSITIVE_INFINITY
  for (let round = 1; round <= ROUNDS && p99 > PROMISE_MS; round++) {
    const times: { inside: number; outside: number }[] = []
    for (let at = 0; at < MESSAGES; at++) {
      times.push(await latency(1 + (at % 127)))
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS + Math.random() * 3))
    }
    const inside = times.map((one) => one.inside)
    p99 = quantile(inside, 0.99)
    t.diagnostic(`controller to frame inside the process: ${figures(inside)}`)
    t.diagnostic(`controller to frame with both terminals: ${figures(times.map((one) => one.outside))}`)
  }
  assert.ok(p99 <= PROMISE_MS, `p99 is ${p99} ms`)
})

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1]
}

function figures(values: readonly number[]): string {
  const [p50, p99, worst] = [0.5, 0.99, 1].map((share) => quantile(values, share).toFixed(2))
  return `p50 ${p50} ms, p99 ${p99} ms, worst ${worst} ms`
}
