import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Scene } from '../scene.ts'
import { Ssd1306Chip } from './ssd1306-chip.ts'

async function start(t: TestContext, more = '', chip = new Ssd1306Chip()) {
  chip.powerOn()
  const scene = await Scene.start(t, `- name: panel\n  kind: ssd1306\n  simulate: false\n${more}`, {
    prepare: ({ i2c }) => i2c.attach('1', 0x3c, chip),
  })
  return { scene, chip }
}

const isBlank = (bytes: Uint8Array) => bytes.every((byte) => byte === 0)

test('the display is set up for its size, cleared, and lit', async (t) => {
  const { chip } = await start(t)
  assert.ok(isBlank(chip.memory))
  assert.equal(chip.isOn, true)
  // 64 rows, charge pump on, horizontal addressing, alternative wiring, contrast.
  const settings = [0xa8, 0x8d, 0x20, 0xda, 0x81].map((code) => chip.settings.get(code)?.[0])
  assert.deepEqual(settings, [63, 0x14, 0, 0x12, 127])
  const small = await start(t, '  size: 128x32\n  contrast: 10\n  turned: true\n')
  assert.deepEqual(
    [0xa8, 0xda, 0x81].map((code) => small.chip.settings.get(code)?.[0]),
    [31, 0x02, 10],
  )
  assert.deepEqual(
    [0xa0, 0xc0].map((code) => small.chip.settings.has(code)),
    [true, true],
  )
  assert.ok(isBlank(small.chip.memory.subarray(0, 512)))
})

test('letters have the pixels that they should', async (t) => {
  const { scene, chip } = await start(t)
  await scene.set('/display/panel/text', 'Rä\n g')
  assert.deepEqual(chip.art(0, 12, 0), [
    '####...#.#..',
    '#...#.......',
    '#...#..###..',
    '####......#.',
    '#.#....####.',
    '#..#..#...#.',
    '#...#..####.',
    '............',
  ])
  assert.deepEqual(chip.art(6, 6, 1), ['......', '......', '.####.', '#...#.', '#...#.', '.####.', '....#.', '.###..'])
  // An accent that it does not have is left out, in either spelling.
  for (const letter of ['\u0151', 'o\u030b']) {
    await scene.set('/display/panel/line/4', letter)
    assert.equal(chip.art(0, 6, 3)[3], '#...#.')
    await scene.set('/display/panel/line/4', '')
  }
  // What it cannot draw is a box.
  await scene.set('/display/panel/line/3', '語')
  assert.deepEqual(chip.art(0, 6, 2), ['#####.', '#...#.', '#...#.', '#...#.', '#...#.', '#...#.', '#####.', '......'])
})

test('every character of a keyboard has pixels of its own', async (t) => {
  const { scene, chip } = await start(t)
  const seen = new Map<string, string>()
  const all = [...Array.from({ length: 94 }, (_, at) => String.fromCharCode(33 + at)), ...'ÄÖÜäöüßéèàç°µ§€']
  for (let at = 0; at < all.length; at += 20) {
    const line = all.slice(at, at + 20)
    await scene.set('/display/panel/line/1', line.join(''))
    for (const [n, character] of line.entries()) {
      const art = chip.art(n * 6, 6, 0).join('\n')
      assert.equal(seen.get(art), undefined, `${character} looks like ${seen.get(art)}`)
      assert.ok(
        art.split('\n').every((row) => row.endsWith('.')),
        `${character} leaves no gap`,
      )
      seen.set(art, character)
    }
  }
})

test('text and lines are two ways to say the same, and what does not fit is cut off', async (t) => {
  const { scene, chip } = await start(t, '  size: 128x32\n  text: "Hello\\nyou"\n')
  assert.equal(scene.params.get('/display/panel/line/2'), 'you')
  await scene.set('/display/panel/line/4', 'end')
  assert.equal(scene.params.get('/display/panel/text'), 'Hello\nyou\n\nend')
  await scene.set('/display/panel/text', `${'x'.repeat(40)}\n2\n3\n4\n5`)
  assert.equal(scene.params.get('/display/panel/text'), `${'x'.repeat(40)}\n2\n3\n4`)
  // 21 letters are 126 columns.
  assert.deepEqual([...chip.memory.subarray(126, 128)], [0, 0])
  assert.ok(!isBlank(chip.memory.subarray(120, 126)))
})

test('only what has changed is sent', async (t) => {
  const { scene, chip } = await start(t, '  text: "Count: 100"\n')
  const before = chip.drawn
  await scene.set('/display/panel/text', 'Count: 101')
  // One letter of six columns at most.
  assert.ok(chip.drawn > before && chip.drawn - before <= 6, `${chip.drawn - before} bytes`)
  const transfers = scene.i2c.transfers
  await scene.set('/display/panel/text', 'Count: 101')
  assert.equal(scene.i2c.transfers, transfers)
})

test('brightness, light and inversion are params', async (t) => {
  const { scene, chip } = await start(t)
  await scene.set('/display/panel/contrast', 200)
  await scene.set('/display/panel/inverse', true)
  assert.deepEqual([chip.settings.get(0x81), chip.isInverse, chip.isOn], [[200], true, true])
  await scene.set('/display/panel/on', false)
  assert.equal(chip.isOn, false)
  // It is off because it was told so.
  await scene.pass(5000, 500)
  assert.equal(chip.isOn, false)
})

test('it goes dark when the router stops or hangs, or shows what it was told for that', async (t) => {
  const dark = await start(t, '  text: "22 °C"\n')
  dark.scene.i2c.force()
  assert.equal(dark.chip.isOn, false)
  await dark.scene.settle()
  assert.equal(dark.chip.isOn, true)
  await dark.scene.stop()
  assert.deepEqual([dark.chip.isOn, isBlank(dark.chip.memory)], [false, true])

  const { scene, chip } = await start(t, '  text: "22 °C"\n  whenGone: "I"\n')
  const letter = ['.###..', '..#...', '..#...', '..#...', '..#...', '..#...', '.###..', '......']
  scene.i2c.force()
  assert.deepEqual(chip.art(0, 6, 0), letter)
  assert.ok(isBlank(chip.memory.subarray(6)))
  await scene.settle()
  assert.notDeepEqual(chip.art(0, 6, 0), letter)
  await scene.stop()
  assert.deepEqual(chip.art(0, 6, 0), letter)
  assert.deepEqual([chip.isOn, isBlank(chip.memory.subarray(6))], [true, true])
})

test('a display whose supply was interrupted, or that returns, is drawn anew', async (t) => {
  const { scene, chip } = await start(t, '  text: I\n')
  const before = chip.memory.slice()
  chip.powerOn()
  await scene.pass(2100, 100)
  assert.deepEqual(chip.memory, before)
  assert.equal(chip.isOn, true)
  scene.i2c.detach('1', 0x3c)
  await scene.pass(3000, 100)
  assert.equal(scene.params.get('/display/panel/ok'), false)
  chip.powerOn()
  scene.i2c.attach('1', 0x3c, chip)
  await scene.pass(4000, 100)
  assert.equal(scene.params.get('/display/panel/ok'), true)
  assert.deepEqual(chip.memory, before)
})

test('a copy of the chip that tells no status is left in peace', async (t) => {
  const copy = new Ssd1306Chip()
  copy.status = () => 0xff
  const { scene, chip } = await start(t, '  text: I\n', copy)
  const before = chip.drawn
  await scene.pass(10_000, 500)
  assert.equal(chip.drawn, before)
  assert.deepEqual(scene.told('/display/panel/error', 'code'), [])
})
