import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseConfig } from '../../../runtime/config/load.ts'
import { Scene } from '../scene.ts'

const PORT = '/dev/ttyACM0'

const start = (t: TestContext, kind: string, more: string) =>
  Scene.start(t, `- {name: station, kind: ${kind}, port: ${PORT}, simulate: false, ${more}}`)

/** Lines a second apart, so that the rate of the params holds nothing back. */
async function feed(scene: Scene, ...lines: string[]): Promise<void> {
  for (const line of lines) {
    await scene.pass(1000)
    assert.ok(scene.serial.feed(PORT, Buffer.from(`${line}\n`)))
    await scene.settle()
  }
}

const values = (scene: Scene, ...keys: string[]) => keys.map((key) => scene.params.get(`/serial/station/${key}`))

test('JSON values are params, wherever they are in the object', async (t) => {
  const scene = await start(
    t,
    'json',
    `fields: [{name: temperature, path: bme.t, unit: Cel, min: -40, max: 85}, {name: door, type: flag},
    {name: count, type: whole, path: list.1}, {name: mode, type: text}]`,
  )
  await feed(scene, '{"bme":{"t":21.5},"door":1,"list":[7,8.6],"mode":"auto"}')
  assert.deepEqual(values(scene, 'temperature', 'door', 'count', 'mode'), [21.5, true, 9, 'auto'])
  await feed(scene, '{"bme":{"t":"22.25"},"door":"off"}')
  assert.deepEqual(values(scene, 'temperature', 'door', 'count', 'mode'), [22.25, false, 9, 'auto'])
  const signal = scene.signals.find(({ address }) => address === '/serial/station/temperature')
  assert.deepEqual([signal?.datatype, signal?.meta?.unit, signal?.meta?.range], ['f64', 'Cel', [-40, 85]])
})

test('what a JSON device cannot measure is null, and so is what is out of range', async (t) => {
  const scene = await start(t, 'json', 'fields: [{name: t, min: -40, max: 85}]')
  for (const [text, value] of [
    ['{"t":20}', 20],
    ['{"t":null}', null],
    ['{"t":21}', 21],
    ['{"t":85.1}', null],
    ['{"t":"nan"}', null],
    ['{"t":-40}', -40],
  ] as const) {
    await feed(scene, text)
    assert.deepEqual(values(scene, 't'), [value], text)
  }
  assert.deepEqual(scene.told('/serial/station/error'), [])
})

test('lines that are no JSON are counted, told once a minute, and stop nothing', async (t) => {
  const scene = await start(t, 'json', 'fields: [{name: t}]')
  await feed(
    scene,
    '0}',
    'boot ok',
    '{"t":1',
    '[1,2]',
    '"t"',
    'null',
    '{"__proto__":{"t":5}}',
    '{"t":{"t":1}}',
    '{"t":7}',
  )
  assert.deepEqual(values(scene, 't'), [7])
  assert.equal(scene.params.get('/serial/station/ok'), true)
  const told = () => scene.told('/serial/station/error', 'message').map(String)
  assert.equal(told().length, 1)
  assert.match(told()[0], /a line could not be read; the last one is "boot ok": expected a JSON object/)
  await scene.pass(60_000)
  await feed(scene, '{"x":1}')
  assert.equal(told().length, 2)
  assert.match(told()[1], /7 lines .* it has none of t: correct fields/)
})

test('only lines with the prefix are read, from behind it', async (t) => {
  const scene = await start(t, 'json', 'startsWith: "DATA:", fields: [{name: t}]')
  await feed(scene, 'log: {"t":1}', 'DATA:{"t":2}', '{"t":3}')
  assert.deepEqual(values(scene, 't'), [2])
  assert.deepEqual(scene.told('/serial/station/error'), [])
})

test('a command is written as a line', async (t) => {
  const scene = await start(t, 'json', 'ending: crlf, fields: [{name: t}]')
  const texts: string[] = []
  scene.serial.onWritten = (_, bytes) => texts.push(Buffer.from(bytes).toString())
  await scene.publish('/serial/station/command', '{"led":true}')
  assert.deepEqual(texts, ['{"led":true}\r\n'])
})

test('changes below the deadband are not told, and after the silence there are no values', async (t) => {
  const scene = await start(t, 'json', 'silence: 30s, fields: [{name: t, deadband: 0.5}]')
  await feed(scene, '{"t":20}', '{"t":20.4}')
  assert.deepEqual(values(scene, 't'), [20])
  await feed(scene, '{"t":20.5}')
  assert.deepEqual(values(scene, 't'), [20.5])
  await scene.pass(30_000)
  assert.deepEqual(values(scene, 't', 'ok'), [null, false])
  await feed(scene, '{"t":20.5}')
  assert.deepEqual(values(scene, 't', 'ok'), [20.5, true])
})

test('CSV columns are taken by their number, with decimal commas and other separators', async (t) => {
  const scene = await start(
    t,
    'csv',
    'delimiter: semicolon, decimalComma: true, fields: [{name: t, column: "1"}, {name: label, column: "3", type: text}]',
  )
  await feed(scene, 'half', '-3,25; 48 ;"a;b ""c"""')
  assert.deepEqual(values(scene, 't', 'label'), [-3.25, 'a;b "c"'])
  await feed(scene, ';;x')
  assert.deepEqual(values(scene, 't', 'label'), [null, 'x'])
  await feed(scene, '1.234,5;;y')
  assert.match(String(scene.told('/serial/station/error', 'message')), /t is to be a number/)
})

test('CSV columns are found by their heading, also when another one comes', async (t) => {
  const scene = await start(t, 'csv', 'heading: true, fields: [{name: hum}, {name: t, column: temp}]')
  await feed(scene, '5,20', '6,21')
  assert.deepEqual(values(scene, 't', 'hum'), [undefined, undefined])
  await feed(scene, 'time, temp ,hum', '12:00,21.5,48')
  assert.deepEqual(values(scene, 't', 'hum'), [21.5, 48])
  await feed(scene, 'hum,temp', '49,22')
  assert.deepEqual(values(scene, 't', 'hum'), [22, 49])
  assert.deepEqual(scene.told('/serial/station/error'), [])
})

test('CSV columns between blanks may be aligned', async (t) => {
  const scene = await start(t, 'csv', 'delimiter: space, fields: [{name: a, column: "1"}, {name: b, column: "2"}]')
  await feed(scene, '   1.5    -2e3')
  assert.deepEqual(values(scene, 'a', 'b'), [1.5, -2000])
})

test('fields that do not fit together are refused with their names', async () => {
  const problem = (device: string) =>
    parseConfig(`devices:\n  - {name: a, port: /dev/ttyS0, ${device}}\n`, 'c.yaml').then(
      () => 'accepted',
      (error) => error.message as string,
    )
  assert.match(await problem('kind: json'), /fields is empty/)
  assert.match(await problem('kind: json, fields: [{name: t}, {name: t}]'), /two rows have the name t/)
  assert.match(await problem('kind: json, fields: [{name: ok}]'), /fields\[0\] cannot be called ok/)
  assert.match(await problem('kind: json, fields: [{name: command}]'), /fields\[0\] cannot be called command/)
  assert.match(await problem('kind: json, fields: [{name: t, min: 5, max: 5}]'), /min of t has to be below its max/)
  assert.match(await problem('kind: json, fields: [{path: t}]'), /name is missing/)
  assert.match(await problem('kind: csv, fields: [{name: t}]'), /t has no number of a column.*heading: true/)
  assert.match(await problem('kind: csv, decimalComma: true, fields: [{name: t, column: "1"}]'), /contradict/)
  assert.equal(await problem('kind: csv, fields: [{name: t, column: "1"}]'), 'accepted')
})

test('a simulated device is played line by line', async (t) => {
  const scene = await Scene.start(t, `- {name: station, kind: json, port: ${PORT}, fields: [{name: t}]}`)
  await scene.publish('/serial/station/simulated/line', '{"t":5}')
  assert.deepEqual(values(scene, 't'), [5])
})
