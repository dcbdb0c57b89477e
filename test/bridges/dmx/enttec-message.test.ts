import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  applyChanges,
  decodeName,
  decodeParameters,
  decodeSerialNumber,
  EnttecReader,
  encodeEnttec,
  encodeParameters,
} from '../../../runtime/bridges/dmx/enttec-message.ts'

function read(...chunks: Uint8Array[]) {
  const messages: [number, number[]][] = []
  const reader = new EnttecReader((label, data) => messages.push([label, [...data]]))
  for (const chunk of chunks) reader.add(chunk)
  return { messages, reader }
}

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

test('messages have the bytes of the widget API specification', () => {
  assert.deepEqual(encodeEnttec(10), hex('7e 0a 0000 e7'))
  assert.deepEqual(encodeEnttec(6, hex('00 ff 80 01')), hex('7e 06 0400 00ff8001 e7'))
  assert.deepEqual(
    encodeEnttec(4, encodeParameters({ breakTime: 9, markTime: 1, rate: 40 })),
    hex('7e 04 0500 0000090128 e7'),
  )
  assert.deepEqual([...encodeEnttec(6, new Uint8Array(513)).subarray(0, 4)], [0x7e, 6, 0x01, 0x02])
})

test('answers of a widget are understood', () => {
  // As OLA's tests of its widget have them.
  assert.deepEqual(decodeParameters(hex('2c 01 09 01 28')), { firmware: 0x012c, breakTime: 9, markTime: 1, rate: 40 })
  assert.equal(decodeParameters(hex('2c 01 09 01')), undefined)
  assert.equal(decodeSerialNumber(hex('78 56 34 12')), '12345678')
  assert.equal(decodeSerialNumber(hex('ff ff ff ff')), '')
  assert.equal(decodeName(Uint8Array.of(0x4e, 0x45, ...Buffer.from('ENTTEC\0\x01'))), 'ENTTEC')
})

test('messages arrive whole however the bytes are cut', () => {
  const wire = [...encodeEnttec(5, hex('00 00 7e e7 7e')), ...encodeEnttec(77, hex('4e45'))]
  for (let at = 1; at < wire.length; at++) {
    const { messages, reader } = read(Uint8Array.from(wire.slice(0, at)), Uint8Array.from(wire.slice(at)))
    assert.deepEqual(messages, [
      [5, [0, 0, 0x7e, 0xe7, 0x7e]],
      [77, [0x4e, 0x45]],
    ])
    assert.equal(reader.skipped, 0)
  }
})

test('after garbage, a length that is too great, or a missing end the next message is found', () => {
  const good = encodeEnttec(10, hex('01 02 03 04'))
  for (const bad of ['00 01 e7', '7e 05 59 02', '7e 05 02 00 aa bb cc', '7e 7e', '7e 06 01 00 7e']) {
    const { messages, reader } = read(hex(bad), good)
    assert.deepEqual(messages, [[10, [1, 2, 3, 4]]], bad)
    assert.equal(reader.skipped, hex(bad).length, bad)
  }
})

test('a message of 600 bytes is the longest', () => {
  const data = new Uint8Array(600).fill(0x7e)
  assert.deepEqual(read(encodeEnttec(5, data)).messages, [[5, [...data]]])
  assert.deepEqual(read(encodeEnttec(5, new Uint8Array(601))).messages, [])
})

test('whatever bytes come, those that are messages are handed over and nothing throws', () => {
  const chunk = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(hex('7e'), hex('7e0501'), hex('e7')))
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 20 }), (noise) => {
      // A header in the noise may ask for up to 600 bytes: after so many that are none, the next message is heard.
      const { messages } = read(...noise, new Uint8Array(605), encodeEnttec(10, hex('de ad be ef')))
      assert.deepEqual(messages.at(-1), [10, [0xde, 0xad, 0xbe, 0xef]])
    }),
    { seed: 1, numRuns: 300 },
  )
})

test('changes of state are put into the frame at their slots', () => {
  const frame = new Uint8Array(513)
  // From byte 16 on: its bits 0 and 9, which are slots 16 and 25.
  assert.equal(applyChanges(hex('02 0102000000 aa bb'), frame), true)
  assert.deepEqual([frame[16], frame[25]], [0xaa, 0xbb])
  assert.equal(
    frame.reduce((sum, byte) => sum + byte, 0),
    0xaa + 0xbb,
  )
  assert.equal(applyChanges(hex('02 0300000000 aa'), frame), false)
  assert.equal(applyChanges(hex('40 0200000000 aa'), frame), false)
  assert.equal(applyChanges(hex('02 01'), frame), false)
})
