import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { parseConfig } from '../../../runtime/config/load.ts'
import { BridgeScene } from '../bridge-scene.ts'

const refused = (options: string, message: RegExp) =>
  assert.rejects(parseConfig(`bridges:\n  - { id: stage, kind: dmx, ${options} }\n`, 'test.yaml'), message)

test('what does not fit together is refused with its reason', async () => {
  await refused('port: /dev/ttyUSB0', /type is missing/)
  await refused('type: uart', /type: uart needs a port/)
  await refused('type: ftdi, port: ttyUSB0', /"ttyUSB0" names no serial port/)
  await refused('type: virtual, direction: in', /nothing that could come in/)
  await refused('type: ftdi, port: "usb:0403:6001", rs485: true', /rs485 is for type: uart/)
  await refused('type: virtual, onStop: "scene:3"', /scene:3 is not among the scenes/)
  await refused('type: enttec-pro, port: /dev/ttyUSB0, key: "12"', /"12" is no key/)
  await refused('type: virtual, slots: 12', /from 24 to 512/)
})

test('a virtual universe takes levels and fades without a port', async (t) => {
  const one = await BridgeScene.start(t, '- { id: stage, kind: dmx, type: virtual, shortAddresses: true }')
  const level: Value = { type: 'i64', value: 9 }
  await one.set('/dmx/17', level)
  await one.event('/dmx/0/3/fade', {
    type: 'map',
    value: [
      ['to', level],
      ['ms', { type: 'i64', value: 0 }],
    ],
  })
  assert.deepEqual(await one.untilParam('/dmx/0/3'), level)
  assert.deepEqual([one.report('stage').state, one.report('stage').outDropped], ['running', 0])
  await one.set('/dmx/0/513', level)
  assert.equal(one.report('stage').outDropped, 1)
})
