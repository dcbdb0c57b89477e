import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MidiPort } from '../../../runtime/bridges/midi/midi-port.ts'
import { type OutputPace, OutputQueue } from '../../../runtime/bridges/midi/output-queue.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'

function queueOf(pace: Partial<OutputPace> = {}) {
  const clock = new SteppedClock()
  const sent: { at: number; bytes: string }[] = []
  const begin = clock.now()
  const port = {
    backlogBytes: 0,
    write: (bytes: Uint8Array) => {
      sent.push({ at: clock.now() - begin, bytes: Buffer.from(bytes).toString('hex') })
    },
    close: async () => {},
  } satisfies MidiPort
  let dropped = 0
  const full = { bytesPerS: undefined, sysExBytesPerS: undefined, runningStatus: false, ...pace }
  const queue = new OutputQueue(port, full, clock, () => dropped++)
  const push = (text: string, key?: number) => queue.push(Buffer.from(text, 'hex'), key)
  const bytes = () => sent.map((one) => one.bytes)
  return { clock, queue, push, port, sent, bytes, dropped: () => dropped }
}

const DIN = { bytesPerS: 3125, sysExBytesPerS: 3125 }

test('a DIN line gets 3125 bytes/s, and never more than 4 ms of them ahead', () => {
  const { clock, push, sent } = queueOf(DIN)
  for (let at = 0; at < 500; at++) push('903c64')
  for (let at = 0; at < 100; at++) {
    clock.advance(5)
    const written = sent.length * 3
    assert.ok(written <= (at + 1) * 5 * 3.125 + 16, `${written} bytes after ${(at + 1) * 5} ms`)
  }
  assert.equal(sent.length, 500)
  assert.ok((sent.at(-1)?.at ?? 0) > 470)
})

test('a controller that waits is replaced by its newer value; notes are not', () => {
  const { clock, push, bytes, dropped } = queueOf(DIN)
  for (let at = 0; at < 10; at++) push('903c64')
  for (let at = 0; at < 50; at++) push(`b007${at.toString(16).padStart(2, '0')}`, 7)
  clock.advance(1000)
  assert.deepEqual(bytes(), [...Array(10).fill('903c64'), 'b00731'])
  assert.equal(dropped(), 0)
})

test('the clock goes between the parts of SysEx', () => {
  const { clock, queue, push, bytes } = queueOf(DIN)
  const sysEx = `f0${'01'.repeat(98)}f7`
  push(sysEx)
  clock.advance(5)
  queue.realTime(0xf8)
  push('903c64')
  clock.advance(1000)
  assert.ok(bytes().includes('f8'))
  assert.equal(
    bytes()
      .filter((one) => one !== 'f8')
      .join(''),
    `${sysEx}903c64`,
  )
  assert.ok(bytes().indexOf('f8') < bytes().length - 2)
})

test('what waits is bounded: the oldest goes, but no note off and no value', () => {
  const { push, queue, port, clock, bytes, dropped } = queueOf()
  port.backlogBytes = 5000
  push('803c00')
  push('b00740', 7)
  for (let at = 0; at < 2000; at++) push('903c64')
  assert.equal(queue.size, 1024)
  assert.equal(dropped(), 978)
  push(`f0${'00'.repeat(200_000)}f7`)
  push(`f0${'00'.repeat(100_000)}f7`)
  assert.equal(dropped(), 980)
  port.backlogBytes = 0
  clock.advance(10)
  assert.deepEqual(bytes().slice(0, 2), ['803c00', 'b00740'])
})

test('status bytes that repeat are left out, and come again after SysEx and after 300 ms', () => {
  const { clock, push, bytes } = queueOf({ runningStatus: true })
  push('903c64')
  push('903e64903e00')
  push('f001f7')
  push('903f64')
  push('b00101')
  clock.advance(301)
  push('b00102')
  assert.deepEqual(bytes(), ['903c64', '3e643e00', 'f001f7', '903f64', 'b00101', 'b00102'])
})

test('SysEx that is given up half-way gets its end', () => {
  const { queue, push, bytes, clock } = queueOf(DIN)
  push(`f0${'01'.repeat(98)}f7`)
  queue.clear()
  assert.deepEqual(bytes(), [`f0${'01'.repeat(31)}`, 'f7'])
  assert.equal(clock.pendingTimers, 0)
})
