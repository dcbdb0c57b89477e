import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { totalmem, uptime } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type GuardRequest, LineError } from '../../devices/io/lines.ts'
import { fakeFiles } from '../boards/fake-files.ts'
import { until } from '../until.ts'
import { Scene } from './scene.ts'

test('the machine tells its temperature, load, memory, disk and supply', async (t) => {
  const root = fakeFiles(t, {
    'class/thermal/thermal_zone0/type': 'gpu-thermal\n',
    'class/thermal/thermal_zone0/temp': '99000\n',
    'class/thermal/thermal_zone1/type': 'cpu-thermal\n',
    'class/thermal/thermal_zone1/temp': '48312\n',
    'class/hwmon/hwmon0/name': 'cpu_thermal\n',
    'class/hwmon/hwmon2/name': 'rpi_volt\n',
    'class/hwmon/hwmon2/in0_lcrit_alarm': '1\n',
  })
  const scene = await Scene.start(t, '- {name: board, kind: system, address: /sys}', { sysfs: root })
  await until(() => scene.params.has('/sys/load'), 'readings')
  assert.equal(scene.params.get('/sys/cpu_temp'), 48.312)
  assert.equal(scene.params.get('/sys/undervoltage'), true)
  const shown = (name: string) => Number(scene.params.get(`/sys/${name}`))
  assert.ok(shown('mem_free') > 0 && shown('mem_free') < 100 && totalmem() > 0)
  assert.ok(shown('disk_free') >= 0 && shown('disk_free') <= 100)
  assert.ok(Math.abs(shown('uptime') - uptime()) < 60)
})

test('a machine without a thermometer and a supply monitor tells the rest', async (t) => {
  const scene = await Scene.start(t, '- {name: board, kind: system}')
  await until(() => scene.params.has('/sys/board/load'), 'readings')
  assert.deepEqual(
    ['cpu_temp', 'undervoltage'].map((name) => scene.params.get(`/sys/board/${name}`)),
    [undefined, undefined],
  )
  assert.equal(scene.params.get('/sys/board/ok'), true)
})

function ledFiles(t: TestContext) {
  const root = fakeFiles(t, {
    'class/leds/ACT/max_brightness': '255\n',
    'class/leds/ACT/brightness': '0\n',
    'class/leds/ACT/trigger': 'none timer [mmc0] heartbeat\n',
  })
  return { root, read: (name: string) => readFileSync(join(root, 'class/leds/ACT', name), 'latin1').split('\n')[0] }
}

test('a light of the board is dimmed, driven by the kernel, and given back at the stop', async (t) => {
  const { root, read } = ledFiles(t)
  const scene = await Scene.start(t, '- {name: status, kind: kernel-led, led: ACT, simulate: false}', { sysfs: root })
  await until(() => scene.params.get('/leds/status/trigger') === 'mmc0', 'start')
  await scene.set('/leds/status', 0.5)
  await until(() => read('brightness') === '128', 'brightness')
  assert.equal(read('trigger'), 'none')
  assert.equal(scene.params.get('/leds/status/trigger'), 'none')
  await scene.set('/leds/status/trigger', 'heartbeat')
  await until(() => read('trigger') === 'heartbeat', 'trigger')
  await scene.stop()
  assert.equal(read('trigger'), 'mmc0')
})

test('a light that is to be dark or lit without the router is freed of its trigger first', async (t) => {
  const { root } = ledFiles(t)
  const guards: GuardRequest[] = []
  await Scene.start(t, '- {name: status, kind: kernel-led, led: ACT, safe: on, simulate: false}', {
    sysfs: root,
    prepare({ lines }) {
      const { guard } = lines
      lines.guard = (request) => {
        guards.push(request)
        return guard.call(lines, request)
      }
    },
  })
  await until(() => guards.length > 0, 'guard')
  const written = guards.map(({ before, path, safe }) => [before?.path, before?.safe, path, safe])
  const led = join(root, 'class/leds/ACT')
  assert.deepEqual(written, [[join(led, 'trigger'), 'none\n', join(led, 'brightness'), '255\n']])
})

test('a light that nobody guards any more is given back, and so found when it is opened again', async (t) => {
  const { root, read } = ledFiles(t)
  const guards: GuardRequest[] = []
  const scene = await Scene.start(t, '- {name: status, kind: kernel-led, led: ACT, simulate: false}', {
    sysfs: root,
    prepare({ lines }) {
      lines.guard = async (request) => {
        guards.push(request)
        return { change: () => {}, close: async () => {} }
      }
    },
  })
  await until(() => scene.params.get('/leds/status/trigger') === 'mmc0', 'start')
  await scene.set('/leds/status', 0.5)
  await until(() => read('brightness') === '128', 'brightness')
  guards[0].onLost(new LineError('lost', 'gone'))
  await until(() => read('trigger') === 'mmc0', 'trigger')
})

test('a light that is not there is answered with those that are', async (t) => {
  const { root } = ledFiles(t)
  const scene = await Scene.start(t, '- {name: status, kind: kernel-led, led: led0, simulate: false}', { sysfs: root })
  await until(() => scene.devices.reports[0].state === 'absent', 'report')
  assert.match(scene.devices.reports[0].problem, /there is no LED led0: there are ACT/)
})
