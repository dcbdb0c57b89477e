import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_SYSEX_BYTES, MidiParser } from '../../../runtime/bridges/midi/midi-parser.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'

/** Everything that a parser says, as hexadecimal messages; `-2` = two bytes dropped. */
function listener() {
  const clock = new SteppedClock()
  const said: string[] = []
  const hex = (...bytes: number[]) => Buffer.from(bytes).toString('hex')
  const parser = new MidiParser(
    {
      onChannelMessage: (kind, channel, first, second) => said.push(hex(kind | channel, first, second)),
      onSystemCommon: (status, first, second) => said.push(hex(status, first, second)),
      onRealTime: (status) => said.push(hex(status)),
      onSysEx: (bytes) => said.push(Buffer.from(bytes).toString('hex')),
      onDropped: (bytes) => said.push(`-${bytes}`),
    },
    clock,
  )
  return { clock, said, push: (text: string) => parser.push(Buffer.from(text.replaceAll(' ', ''), 'hex')), parser }
}

test('running status goes on through real-time bytes, and ends with a system message', () => {
  const { said, push } = listener()
  push('90 3c 64 f8 3e f8 64 f6 40 40')
  assert.deepEqual(said, ['903c64', 'f8', 'f8', '903e64', 'f60000', '-1', '-1'])
})

test('a message may come in pieces', () => {
  const { said, push } = listener()
  for (const piece of ['f2', '01', '02c5', '2a', '2b']) push(piece)
  assert.deepEqual(said, ['f20102', 'c52a00', 'c52b00'])
})

test('SysEx keeps real-time bytes out of it; what has no end, or no start, is dropped', () => {
  const { said, push } = listener()
  push('f0 7e f8 7f f7  f0 01 02 90 3c 64  f7  05  f4 f5 f9 fd')
  assert.deepEqual(said, ['f8', 'f07e7ff7', '-3', '903c64', '-1', '-1', '-1', '-1', '-1', '-1'])
})

test('SysEx that pauses for more than a second is dropped', () => {
  const { clock, said, push } = listener()
  push('f0 01')
  clock.advance(1000)
  push('02')
  clock.advance(1001)
  push('03 f7')
  assert.deepEqual(said, ['-3', '-1', '-1'])
})

test('SysEx has at most 64 KiB', () => {
  const { said, parser } = listener()
  const longest = Buffer.alloc(MAX_SYSEX_BYTES, 1)
  longest[0] = 0xf0
  longest[MAX_SYSEX_BYTES - 1] = 0xf7
  parser.push(longest)
  assert.equal(said[0], longest.toString('hex'))
  said.length = 0
  parser.push(Buffer.concat([longest.subarray(0, -1), Buffer.of(1, 0xf7)]))
  assert.deepEqual(said, ['-65535', '-1', '-1'])
  said.length = 0
  parser.push(Buffer.of(0x90, 1, 2))
  assert.deepEqual(said, ['900102'])
})

test('of any bytes it makes messages with data bytes only, and in any portions the same ones', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 12 }), { maxLength: 12 }), (portions) => {
      const whole = listener()
      const parts = listener()
      whole.parser.push(Buffer.concat(portions))
      for (const portion of portions) parts.parser.push(portion)
      assert.deepEqual(parts.said, whole.said)
      for (const message of whole.said) assert.match(message, /^(-\d+|[89a-e].([0-7].){2}|f[0-7]([0-7].)*(f7)?|f.)$/)
    }),
    { seed: 7, numRuns: 300 },
  )
})
