import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LineError } from '../../devices/io/lines.ts'
import { until } from '../until.ts'
import { Scene } from './scene.ts'

/** A PWM chip whose only channel is exported already. It goes with the test. */
function fakeSysfs(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'clasp-pwm-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const folder = join(root, 'class/pwm/pwmchip0/pwm0')
  mkdirSync(folder, { recursive: true })
  for (const name of ['period', 'duty_cycle', 'enable']) writeFileSync(join(folder, name), '')
  return { root, read: (name: string) => Number.parseInt(readFileSync(join(folder, name), 'latin1'), 10) }
}

test('a PWM output has its safe duty at the start, follows its param and its frequency, and fades', async (t) => {
  const { root, read } = fakeSysfs(t)
  const yaml = '- {name: fan, kind: pwm, frequency: 25000, safe: 1, simulate: false}'
  const scene = await Scene.start(t, yaml, { sysfs: root })
  await until(() => scene.params.get('/pwm/fan') === 1, 'start')
  assert.deepEqual([read('period'), read('duty_cycle'), read('enable')], [40_000, 40_000, 1])
  await scene.set('/pwm/fan', 0.25)
  await until(() => read('duty_cycle') === 10_000, 'duty')
  await scene.set('/pwm/fan/freq', 50_000)
  await until(() => read('period') === 20_000 && read('duty_cycle') === 5000, 'frequency')
  await scene.set('/pwm/fan', 7)
  await scene.pass(100)
  assert.equal(scene.params.get('/pwm/fan'), 1)
  await scene.publish('/pwm/fan/fade', { to: 0.5, ms: 1000 })
  await scene.pass(1100, 10)
  await until(() => read('duty_cycle') === 10_000, 'end of the fade')
  assert.equal(scene.params.get('/pwm/fan'), 0.5)
  const shown = scene.sets.filter(({ address }) => address === '/pwm/fan').map(({ value }) => Number(value))
  assert.ok(shown.filter((value) => value > 0.5 && value < 1).length > 5, `${shown}`)
  await scene.publish('/pwm/fan/fade', { to: 0 })
  assert.deepEqual(scene.told('/pwm/fan/error', 'code'), ['value'])
  await scene.stop()
  assert.equal(read('duty_cycle'), 20_000)
})

test('the safe duty of a PWM output fits into its period at every moment of a change', async (t) => {
  const { root, read } = fakeSysfs(t)
  const changes: (readonly [periodNs: number, safe: string])[] = []
  const scene = await Scene.start(t, '- {name: fan, kind: pwm, frequency: 25000, safe: 1, simulate: false}', {
    sysfs: root,
    prepare({ lines }) {
      lines.guard = async () => ({
        change: (safe) => changes.push([read('period'), safe]),
        close: async () => {},
      })
    },
  })
  await until(() => scene.params.get('/pwm/fan') === 1, 'start')
  await scene.set('/pwm/fan/freq', 50_000)
  await until(() => read('duty_cycle') === 20_000, 'shorter period')
  await scene.set('/pwm/fan/freq', 10_000)
  await until(() => read('duty_cycle') === 100_000, 'longer period')
  assert.deepEqual(changes, [
    [40_000, '20000\n'],
    [100_000, '100000\n'],
  ])
})

test('a duty that was on its way while the router hung does not outlast the safe one', async (t) => {
  const { root, read } = fakeSysfs(t)
  const yaml = `- {name: heater, kind: pwm, frequency: 1000, simulate: false}
- {name: arm, kind: servo, channel: 1, simulate: false}`
  const arm = join(root, 'class/pwm/pwmchip0/pwm1')
  mkdirSync(arm)
  for (const name of ['period', 'duty_cycle', 'enable']) writeFileSync(join(arm, name), '')
  const forced: (() => void)[] = []
  const scene = await Scene.start(t, yaml, {
    sysfs: root,
    prepare({ lines }) {
      lines.guard = async (request) => {
        forced.push(() => request.onForced('watchdog'))
        // It may also be while it is being set up.
        setImmediate(() => request.onForced('watchdog'))
        return { change: () => {}, close: async () => {} }
      }
    },
  })
  const armDuty = () => Number.parseInt(readFileSync(join(arm, 'duty_cycle'), 'latin1'), 10)
  await until(() => scene.params.get('/servo/arm') === null && scene.params.get('/pwm/heater') === 0, 'start')
  await scene.set('/pwm/heater', 1)
  await scene.set('/servo/arm', 0)
  await until(() => read('duty_cycle') === 1_000_000 && armDuty() === 1_500_000, 'duty')
  // The guard wrote its text before these.
  for (const tell of forced) tell()
  await until(() => read('duty_cycle') === 0 && armDuty() === 0, 'safe duty')
})

test('a PWM output that nobody guards any more is safe at once, and not only when somebody does again', async (t) => {
  const { root, read } = fakeSysfs(t)
  let lose = (_: LineError) => {}
  const scene = await Scene.start(t, '- {name: heater, kind: pwm, simulate: false}', {
    sysfs: root,
    prepare({ lines }) {
      lines.guard = async ({ onLost }) => {
        lose = onLost
        return { change: () => {}, close: async () => {} }
      }
    },
  })
  await until(() => scene.params.get('/pwm/heater') === 0, 'start')
  await scene.set('/pwm/heater', 1)
  await until(() => read('duty_cycle') === 1_000_000, 'duty')
  lose(new LineError('lost', 'gone'))
  await until(() => read('duty_cycle') === 0, 'safe duty')
  await until(() => scene.params.get('/pwm/heater/ok') === false, 'loss')
})

test('a heater goes off after its longest time on, however it is dimmed meanwhile', async (t) => {
  const scene = await Scene.start(t, '- {name: heater, kind: pwm, maxOn: 10s}')
  await scene.set('/pwm/heater', 1)
  await scene.pass(6000, 1000)
  await scene.publish('/pwm/heater/fade', { to: 0.5, ms: 60_000 })
  await scene.pass(3900, 100)
  assert.ok(Number(scene.params.get('/pwm/heater')) > 0.5)
  await scene.pass(200, 100)
  assert.equal(scene.params.get('/pwm/heater'), 0)
  assert.deepEqual(scene.told('/pwm/heater/error', 'code'), ['max_on'])
  await scene.pass(1000, 100)
  await scene.set('/pwm/heater', 1)
  await scene.pass(9000, 1000)
  assert.equal(scene.params.get('/pwm/heater'), 1)
  await scene.pass(2000, 1000)
  assert.equal(scene.params.get('/pwm/heater'), 0)
})

test('a PWM chip that is not there is said with what to enable, and tried again', async (t) => {
  const { root, read } = fakeSysfs(t)
  const scene = await Scene.start(t, '- {name: fan, kind: pwm, simulate: false}', { sysfs: join(root, 'nowhere') })
  await until(() => scene.devices.reports[0].state === 'absent', 'report')
  assert.match(scene.devices.reports[0].problem, /there is no PWM at .*pwmchip0.*dtoverlay=pwm-2chan/)
  assert.equal(scene.params.get('/pwm/fan/ok'), false)
  assert.ok(Number.isNaN(read('enable')))
})

test('a servo turns no faster than it may and lets go when it has arrived', async (t) => {
  const { root, read } = fakeSysfs(t)
  const yaml = '- {name: gate, kind: servo, slew: 90, idle: 1s, simulate: false}'
  const scene = await Scene.start(t, yaml, { sysfs: root })
  await until(() => scene.params.has('/servo/gate'), 'start')
  assert.equal(read('duty_cycle'), 0)
  await scene.set('/servo/gate', 0)
  await until(() => read('duty_cycle') === 1_500_000, 'middle')
  await scene.set('/servo/gate', 90)
  await scene.pass(500, 20)
  await until(() => Math.abs(read('duty_cycle') - 2_000_000) <= 20_000, 'half the way after half the time')
  await scene.pass(600, 20)
  await until(() => read('duty_cycle') === 2_500_000, 'end of the way')
  await scene.pass(1000)
  await until(() => read('duty_cycle') === 0, 'letting go')
})

test('a stepper goes to its position and back, and a zero starts anew', async (t) => {
  const scene = await Scene.start(t, '- {name: axis, kind: stepper, step: S, direction: D, max: 1000}')
  await scene.set('/stepper/axis', 300)
  await scene.pass(2000, 25)
  assert.equal(scene.params.get('/stepper/axis/actual'), 300)
  assert.equal(scene.lines.isOn('D'), true)
  await scene.set('/stepper/axis', 100)
  await scene.pass(2000, 25)
  assert.equal(scene.params.get('/stepper/axis/actual'), 100)
  assert.equal(scene.lines.isOn('D'), false)
  await scene.publish('/stepper/axis/zero', null)
  assert.deepEqual([scene.params.get('/stepper/axis'), scene.params.get('/stepper/axis/actual')], [0, 0])
  await scene.set('/stepper/axis', 1000)
  await scene.pass(300, 25)
  scene.lines.fallSafe()
  await scene.settle()
  const stopped = Number(scene.params.get('/stepper/axis'))
  assert.ok(stopped > 0 && stopped < 1000, `${stopped}`)
  assert.deepEqual(scene.told('/stepper/axis/error', 'code'), ['failsafe'])
  await scene.pass(3000, 25)
  assert.ok(Number(scene.params.get('/stepper/axis/actual')) <= stopped)
})

test('a stepper that is stopped in the middle of a portion knows where it is', async (t) => {
  const yaml = '- {name: axis, kind: stepper, step: S, direction: D, speed: 100, acceleration: 0, onHubLoss: safe}'
  const scene = await Scene.start(t, yaml)
  const position = () => ['', '/actual'].map((below) => scene.params.get(`/stepper/axis${below}`))
  await scene.set('/stepper/axis', 1000)
  // Portions of 5 steps, one each 10 ms: two of them, and three steps of the third.
  await scene.pass(125, 5)
  scene.devices.onHub(false)
  await scene.settle()
  await scene.pass(100, 10)
  assert.deepEqual(position(), [13, 13])
  await scene.set('/stepper/axis', 0)
  await scene.pass(55, 5)
  scene.lines.fallSafe()
  await scene.pass(100, 10)
  assert.deepEqual(position(), [7, 7])
  // The direction input falls as well, and is told of first.
  await scene.set('/stepper/axis', 100)
  await scene.pass(55, 5)
  scene.lines.fallSafe()
  await scene.pass(100, 10)
  assert.deepEqual(position(), [13, 13])
  await scene.set('/stepper/axis', 100)
  await scene.pass(15, 5)
  await scene.publish('/stepper/axis/zero', null)
  await scene.pass(100, 10)
  assert.deepEqual(position(), [0, 0])
  await scene.set('/stepper/axis', -20)
  await scene.pass(400, 10)
  assert.deepEqual(position(), [-20, -20])
})

test('a stepper that goes on after a start does so from where it was', async (t) => {
  const yaml = '- {name: axis, kind: stepper, step: S, direction: D, initial: last, acceleration: 0}'
  const scene = await Scene.start(t, yaml, {
    prepare(early) {
      void early.set('/stepper/axis', 500)
      void early.set('/stepper/axis/actual', 480)
    },
  })
  await scene.pass(1000, 10)
  assert.equal(scene.params.get('/stepper/axis/actual'), 500)
  const shown = scene.sets.filter(({ address }) => address === '/stepper/axis/actual').map(({ value }) => Number(value))
  assert.deepEqual([Math.min(...shown), Math.max(...shown)], [480, 500])
  await scene.set('/stepper/axis', 1000)
  // At 400 steps a second: one portion of 20 steps, and 5 of the next.
  await scene.pass(60, 5)
  await scene.stop()
  await scene.settle()
  assert.deepEqual([scene.params.get('/stepper/axis'), scene.params.get('/stepper/axis/actual')], [1000, 525])
})

test('an ultrasonic sensor measures the echo, and without one has no value after three tries', async (t) => {
  const yaml = '- {name: tank, kind: ultrasonic, trigger: T, echo: E, simulate: false}'
  let echoMs = 5.824
  const scene = await Scene.start(t, yaml)
  scene.lines.onStrobe = (_, us) => {
    assert.equal(us, 10)
    if (echoMs === 0) return
    const now = scene.clock.now()
    scene.lines.drive('E', true, now - 1 - echoMs)
    scene.lines.drive('E', false, now - 1)
  }
  // The first try was without an echo.
  await scene.pass(300, 20)
  assert.equal(scene.params.get('/gpio/tank'), 1)
  echoMs = 11.648
  await scene.pass(200, 20)
  assert.equal(scene.params.get('/gpio/tank'), 2)
  echoMs = 0
  await scene.pass(1000, 20)
  assert.equal(scene.params.get('/gpio/tank'), null)
  assert.equal(scene.params.get('/gpio/tank/ok'), false)
  assert.match(String(scene.told('/gpio/tank/error', 'message')[0]), /no echo on E/)
  echoMs = 5.824
  await scene.pass(2000, 20)
  assert.equal(scene.params.get('/gpio/tank'), 1)
  assert.equal(scene.params.get('/gpio/tank/ok'), true)
})
