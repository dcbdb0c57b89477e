import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { parseChannels } from '../../../runtime/bridges/lighting/channel-ranges.ts'
import { lookLevels, parseLevels } from '../../../runtime/bridges/lighting/look.ts'
import { broadcastOf } from '../../../runtime/bridges/lighting/network-places.ts'
import { isLate } from '../../../runtime/bridges/lighting/sequence.ts'
import { parseSlotAddress } from '../../../runtime/bridges/lighting/slot-address.ts'
import { pairOf, type Scale, slotOf, valueOfSlot } from '../../../runtime/bridges/lighting/slot-value.ts'
import { float, int } from './lighting-scene.ts'

test('values become levels as the scale says', () => {
  const rows: [Value, Scale, number | null | undefined][] = [
    [int(7), 'auto', 7],
    [int(-1), 'auto', 0],
    [int(300), 'auto', 255],
    [int(1), 'auto', 1],
    [float(1), 'auto', 255],
    [float(0.5), 'auto', 128],
    [float(0.99), 'auto', 252],
    [float(200.7), 'auto', 201],
    [float(-3), 'auto', 0],
    [float(Number.NaN), 'auto', 0],
    [float(Number.POSITIVE_INFINITY), 'auto', 255],
    [float(0.6), 'raw', 1],
    [float(254.5), 'raw', 255],
    [int(1), 'normalized', 255],
    [int(2), 'normalized', 255],
    [float(0.1), 'normalized', 26],
    [{ type: 'bool', value: true }, 'auto', 255],
    [{ type: 'bool', value: false }, 'auto', 0],
    [{ type: 'null' }, 'auto', null],
    [{ type: 'string', value: '12' }, 'auto', undefined],
    [{ type: 'i64', value: 99n }, 'auto', 99],
  ]
  for (const [value, scale, level] of rows)
    assert.equal(slotOf(value, scale), level, `${JSON.stringify(value, String)}`)
  assert.equal(pairOf(float(0.5), 'auto'), 32_768)
  assert.equal(pairOf(int(40_000), 'auto'), 40_000)
  assert.deepEqual(valueOfSlot(255, true), float(1))
})

test('addresses name universes, slots, pairs and fades; all else is refused', () => {
  const form = { first: 0, last: 32_767, isSplit: true }
  const short = (rest: string) => {
    const found = parseSlotAddress(rest, form)
    if (found === undefined) return undefined
    return [found.universe, found.channel, found.isPair ? 16 : 8, found.isFade].join(' ')
  }
  assert.equal(short('5'), '5  8 false')
  assert.equal(short('5/512'), '5 512 8 false')
  assert.equal(short('5/511/16'), '5 511 16 false')
  assert.equal(short('5/fade'), '5  8 true')
  assert.equal(short('5/1/fade'), '5 1 8 true')
  assert.equal(short('5/1/16/fade'), '5 1 16 true')
  assert.equal(short('1/2/3'), '291  8 false')
  assert.equal(short('127/15/15/512'), '32767 512 8 false')
  assert.equal(short('1/2/3/7/16/fade'), '291 7 16 true')
  for (const rest of [
    '',
    'fade',
    '05',
    '5/0',
    '5/513',
    '5/512/16',
    '32768',
    '5/01',
    '5/1/17',
    '1/2/16/1',
    '128/0/0/1',
  ]) {
    assert.equal(short(rest), undefined, rest)
  }
  assert.equal(parseSlotAddress('1/2/3', { first: 1, last: 63_999 }), undefined)
  assert.equal(parseSlotAddress('0', { first: 1, last: 63_999 }), undefined)
  assert.equal(parseSlotAddress('9', { first: 0, last: 0, shortUniverse: 0 })?.channel, 9)
  // Channel 16 of the universe, and not the pair at the channel that has the number of the universe.
  for (const shortUniverse of [0, 1]) {
    const short = { first: shortUniverse, last: shortUniverse, shortUniverse }
    const found = parseSlotAddress(`${shortUniverse}/16`, short)
    assert.deepEqual([found?.channel, found?.isPair], [16, false])
    assert.deepEqual(parseSlotAddress('7/16', short)?.isPair, true)
  }
})

test('channels and looks are written as consoles write them', () => {
  assert.deepEqual([...(parseChannels('1-3, 512') ?? [])], [1, 2, 3, 512])
  for (const text of ['', '0', '513', '3-1', 'a', '1,,2']) assert.equal(parseChannels(text), undefined, text)
  const look = parseLevels('1-2,4@100%, 3@7')
  assert.deepEqual([...(look?.subarray(0, 5) ?? [])], [255, 255, 7, 255, 0])
  for (const text of ['1', '1@256', '1@101%', '@5', '600@1']) assert.equal(parseLevels(text), undefined, text)
  const scenes = [
    { scene: 1, levels: '1@1' },
    { scene: 1, universe: 3, levels: '1@3' },
  ]
  assert.equal(lookLevels('scene:1', scenes, 2)?.[0], 1)
  assert.equal(lookLevels('scene:1', scenes, 3)?.[0], 3)
  assert.equal(lookLevels('scene:2', scenes, 3), null)
  assert.equal(lookLevels('full', scenes, 3)?.[511], 255)
})

test('a sequence number is late within 20 of the last one, also across the wrap', () => {
  assert.deepEqual(
    [
      [1, 255],
      [6, 5],
      [5, 5],
      [250, 5],
      [5, 24],
      [5, 25],
      [200, 5],
    ].map(([sequence, last]) => isLate(sequence, last)),
    [false, false, true, true, true, false, false],
  )
})

test('the directed broadcast address has all bits of the host set', () => {
  assert.equal(broadcastOf('192.168.4.7', '255.255.252.0'), '192.168.7.255')
  assert.equal(broadcastOf('127.0.0.2', '255.0.0.0'), '127.255.255.255')
})
