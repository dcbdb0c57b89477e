import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import type { Board, Pin } from '../../boards/board.ts'
import { boardById, boardIds } from '../../boards/detect.ts'
import { findPin } from '../../boards/find-pin.ts'

function boardOf(id: string): Board {
  const board = boardById(id)
  assert.ok(board, id)
  return board
}

const pinsOf = (board: Board) => board.headers.flatMap(({ pins }) => pins)

describe('the data of', () => {
  for (const id of boardIds()) {
    it(`${id} agrees with itself: no line twice, none beyond its chip, buses only on lines that are there`, () => {
      const board = boardOf(id)
      const lines = pinsOf(board).flatMap(({ line, otherLine }) => [line, otherLine].filter((one) => one !== undefined))
      const keys = lines.map(({ chip, offset }) => `${chip}:${offset}`)
      assert.deepEqual(
        keys.filter((key, i) => keys.indexOf(key) !== i),
        [],
      )
      for (const { chip, offset } of lines) {
        const found = board.chips.find((one) => one.id === chip)
        assert.ok(found && offset < found.lines, `${chip}:${offset}`)
      }
      for (const { name, pins } of board.buses) {
        for (const [pin] of pins) {
          const found = findPin(board, pin)
          assert.ok('line' in found && found.line, `${name}: ${pin}`)
        }
      }
      const names = board.buses.map(({ name }) => name)
      assert.equal(new Set(names).size, names.length)
      for (const { pins } of board.headers) {
        assert.deepEqual(
          pins.map(({ number }) => number),
          pins.map((_, i) => i + 1),
        )
      }
    })
  }

  it('headers have as many pins as the boards', () => {
    const counts = (id: string) => boardOf(id).headers.map(({ pins }) => pins.length)
    for (const id of ['raspberry-pi-zero-2', 'raspberry-pi-5', 'orange-pi-zero-2w', 'rock-4', 'simulated']) {
      assert.deepEqual(counts(id), [40])
    }
    assert.deepEqual(counts('beaglebone-black'), [46, 46])
  })
})

/** Number on the header and global number of the line, where a bank has 32 lines. */
function globalNumbers(board: Board): Map<number, number> {
  const bank = (chip: string) => Number(/\d*$/.exec(chip)?.[0] || 0)
  const entries = pinsOf(board).flatMap(({ number, line }): [number, number][] =>
    line === undefined ? [] : [[number, 32 * bank(line.chip) + line.offset]],
  )
  return new Map(entries)
}

test('the lines of a ROCK 4 are those of the table in its vendor’s documentation', () => {
  const table =
    '3:71 5:72 7:75 8:148 10:147 11:146 12:131 13:150 15:149 16:154 18:156 19:40 21:39 22:157 23:41 24:42 27:64 28:65 ' +
    '29:74 31:73 32:112 33:76 35:133 36:132 37:158 38:134 40:135'
  assert.deepEqual(globalNumbers(boardOf('rock-4')), numbers(table))
})

test('the lines of an Orange Pi Zero 2W are those that its vendor’s gpio readall shows', () => {
  const table =
    '3:264 5:263 7:269 8:224 10:225 11:226 12:257 13:227 15:261 16:270 18:228 19:231 21:232 22:262 23:230 24:229 26:233 ' +
    '27:266 28:265 29:256 31:271 32:267 33:268 35:258 36:76 37:272 38:260 40:259'
  assert.deepEqual(globalNumbers(boardOf('orange-pi-zero-2w')), numbers(table))
})

test('the lines of a Raspberry Pi are those of the header that is printed everywhere', () => {
  const table =
    '3:2 5:3 7:4 8:14 10:15 11:17 12:18 13:27 15:22 16:23 18:24 19:10 21:9 22:25 23:11 24:8 26:7 27:0 28:1 29:5 31:6 ' +
    '32:12 33:13 35:19 36:16 37:26 38:20 40:21'
  assert.deepEqual(globalNumbers(boardOf('raspberry-pi-4')), numbers(table))
  assert.deepEqual(globalNumbers(boardOf('raspberry-pi-5')), numbers(table))
})

test('the lines of a BeagleBone Black are those that Linux names by pin', () => {
  const board = boardOf('beaglebone-black')
  const lines = (names: string) =>
    names.split(' ').map((name) => {
      const pin = findPin(board, name) as Pin
      return `${pin.line?.chip.slice(4)}.${pin.line?.offset}`
    })
  assert.deepEqual(lines('P9_12 P9_11 P9_42 P8_3 P8_46 P9_25 P8_19'), [
    '1.28',
    '0.30',
    '0.7',
    '1.6',
    '2.7',
    '3.21',
    '0.22',
  ])
  assert.deepEqual((findPin(board, 'P9_42') as Pin).otherLine, { chip: 'gpio3', offset: 18 })
})

function numbers(table: string): Map<number, number> {
  return new Map(table.split(' ').map((entry) => entry.split(':').map(Number) as [number, number]))
}

describe('a pin', () => {
  const pi = boardOf('raspberry-pi-4')

  it('is found by its name, by what a kernel calls its line, and by header and number', () => {
    for (const name of ['GPIO2', 'gpio2', 'SDA1', 'J8:3', 'pin 3', 'Pin3']) {
      const pin = findPin(pi, name)
      assert.ok('line' in pin, name)
      assert.deepEqual([pin.name, pin.number, pin.line], ['GPIO2', 3, { chip: 'gpio', offset: 2 }])
    }
  })

  it('that the board does not have is answered with the nearest ones', () => {
    assert.deepEqual(findPin(pi, 'GPIO28'), { nearest: ['GPIO27', 'GPIO26', 'GPIO25'] })
    assert.deepEqual(findPin(boardOf('beaglebone-black'), 'P9_43'), { nearest: ['P9_42', 'P9_41', 'P9_31'] })
    assert.deepEqual(findPin(boardOf('generic-linux'), 'GPIO17'), { nearest: [] })
    assert.ok('nearest' in findPin(pi, 'GND'), 'ground is no line')
    assert.ok('nearest' in findPin(boardOf('beaglebone-black'), 'pin 12'), 'of two headers')
  })
})
