import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OneWireBus } from '../../devices/one-wire/bus.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { FakeSysfs } from './fake-sysfs.ts'
import { becomes, passUntil } from './passing.ts'
import { Scene } from './scene.ts'

const CELLAR = '28-0316a2795e2f'
const ATTIC = '28-00000a1b2c3d'
const MASTER = 'devices/w1_bus_master1'

/** A 1-Wire bus with thermometers, as the kernel shows it. */
class FakeBus extends FakeSysfs {
  constructor(t: TestContext) {
    super(t)
    this.write(MASTER, { therm_bulk_read: 0 })
    this.link('bus/w1/devices/w1_bus_master1', MASTER)
  }

  plug(id: string, attributes: Record<string, string | number>): void {
    this.write(`${MASTER}/${id}`, { uevent: '', ...attributes })
    this.link(`bus/w1/devices/${id}`, `${MASTER}/${id}`)
  }

  unplug(id: string): void {
    this.remove(`bus/w1/devices/${id}`)
    this.remove(`${MASTER}/${id}`)
  }

  change(id: string, attribute: string, value: string | number): void {
    this.write(`${MASTER}/${id}`, { [attribute]: value })
  }

  read(attribute: string): string {
    return readFileSync(join(this.root, MASTER, attribute), 'latin1')
  }
}

const VALUE = '/w1/cellar/temperature'
const one = (options = '') => `- {name: cellar, kind: ds18b20, simulate: false${options}}`

test('the only thermometer needs no number, and is read in thousandths of a degree', async (t) => {
  const bus = new FakeBus(t)
  bus.plug('26-0000015c7d11', { vad: 499 })
  bus.plug(CELLAR, { temperature: 23125, resolution: 12 })
  const scene = await Scene.start(t, one(', resolution: 10'), { sysfs: bus.root })
  await becomes(scene, VALUE, 23.125)
  assert.equal(bus.read(`${CELLAR}/resolution`), '10\n')
  bus.change(CELLAR, 'temperature', -10_125)
  await becomes(scene, VALUE, -10.125)
  const signal = scene.signals.find(({ address }) => address === VALUE)
  assert.deepEqual([signal?.meta?.unit, signal?.meta?.range], ['Cel', [-55, 125]])
})

test('an older kernel is read by the scratchpad, of which a wrong checksum and zeros do not count', async (t) => {
  const bus = new FakeBus(t)
  const good = '72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125'
  bus.plug(CELLAR, { w1_slave: good })
  const scene = await Scene.start(t, one(`, id: ${CELLAR.toUpperCase()}`), { sysfs: bus.root })
  await becomes(scene, VALUE, 23.125)
  bus.change(CELLAR, 'w1_slave', good.replace('YES', 'NO').replace('23125', '24000'))
  await becomes(scene, VALUE, null)
  assert.match(scene.devices.reports[0].problem, /the checksum is wrong/)
  bus.change(CELLAR, 'w1_slave', good.replace('23125', '25000'))
  await becomes(scene, VALUE, 25)
  const zeros = '00 00 00 00 00 00 00 00 00'
  bus.change(CELLAR, 'w1_slave', `${zeros} : crc=00 YES\n${zeros} t=0`)
  await becomes(scene, VALUE, null)
  assert.match(scene.devices.reports[0].problem, /zeros only.*shorted/)
})

test('85 °C counts only where it was warm before, and what no sensor can measure never', async (t) => {
  const bus = new FakeBus(t)
  bus.plug(CELLAR, { temperature: 85000 })
  const scene = await Scene.start(t, one(), { sysfs: bus.root })
  await passUntil(scene, () => scene.devices.reports[0].state === 'failing', 'failure')
  assert.match(scene.devices.reports[0].problem, /85 °C, as after it was without power/)
  for (const milli of [81_000, 85_000]) {
    bus.change(CELLAR, 'temperature', milli)
    await becomes(scene, VALUE, milli / 1000)
  }
  bus.change(CELLAR, 'temperature', 127_937)
  await becomes(scene, VALUE, null)
  assert.match(scene.devices.reports[0].problem, /127\.937 °C, which it cannot measure/)
})

test('a thermometer that is unplugged is absent, and goes on when it is back', async (t) => {
  const bus = new FakeBus(t)
  bus.plug(CELLAR, { temperature: 20000 })
  bus.plug(ATTIC, { temperature: 30000 })
  const scene = await Scene.start(t, one(`, id: ${CELLAR}`), { sysfs: bus.root })
  await becomes(scene, VALUE, 20)
  bus.unplug(CELLAR)
  await passUntil(scene, () => scene.devices.reports[0].problem.includes('there are'), 'list of the others')
  assert.equal(scene.params.get(VALUE), null)
  assert.equal(scene.devices.reports[0].problem, `there is no 1-Wire thermometer ${CELLAR}: there are ${ATTIC}`)
  bus.plug(CELLAR, { temperature: 21500 })
  await becomes(scene, VALUE, 21.5)
})

test('what is missing is said with what to do', async (t) => {
  const problem = async (options: string, sysfs: string) =>
    (await Scene.start(t, one(options), { sysfs })).devices.reports[0].problem
  assert.match(await problem('', '/nowhere'), /no 1-Wire bus: .*dtoverlay=w1-gpio/)
  const bus = new FakeBus(t)
  assert.match(await problem('', bus.root), /there is none: check its wires and the pull-up/)
  bus.plug(CELLAR, {})
  assert.match(await problem('', bus.root), /sudo modprobe w1-therm/)
  bus.plug(ATTIC, { temperature: 30000 })
  assert.match(await problem('', bus.root), new RegExp(`there are ${ATTIC}, ${CELLAR}: set id`))
  bus.plug('26-0000015c7d11', {})
  assert.match(await problem(', id: 26-0000015c7d11', bus.root), /26-0000015c7d11 is no thermometer/)
})

test('three thermometers on a bus convert together', async (t) => {
  const bus = new FakeBus(t)
  const ids = [CELLAR, ATTIC, '10-000802b5d6e7']
  for (const [at, id] of ids.entries()) bus.plug(id, { temperature: 20_000 + 1000 * at })
  const yaml = (count: number) =>
    ids
      .slice(0, count)
      .map((id, at) => `- {name: t${at}, kind: ds18b20, simulate: false, id: ${id}}`)
      .join('\n')
  const run = async (count: number) => {
    const scene = await Scene.start(t, yaml(count), { sysfs: bus.root })
    const last = () => scene.params.get(`/w1/t${count - 1}/temperature`)
    await passUntil(scene, () => last() === 19 + count, 'reading')
    await scene.stop()
  }
  await run(2)
  assert.equal(bus.read('therm_bulk_read'), '0\n')
  await run(3)
  assert.match(bus.read('therm_bulk_read'), /^trigger\n/)
})

/** Whether somebody has opened the fifo to read it; writes the text then. */
function answers(path: string, text: string): boolean {
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
    writeSync(fd, text)
    closeSync(fd)
    return true
  } catch {
    return false
  }
}

test('sensors of one bus take turns, so that one of them waits in the kernel and the others outside', async (t) => {
  const sysfs = new FakeSysfs(t)
  const fifos = ['a', 'b'].map((id) => {
    sysfs.write(id, { uevent: '' })
    const path = join(sysfs.root, id, 'temperature')
    spawnSync('mkfifo', [path])
    return path
  })
  const bus = new OneWireBus(sysfs.root, new SteppedClock())
  const readings = ['a', 'b'].map((id) => bus.celsius(join(sysfs.root, id)))
  const isSecondWaiting: boolean[] = []
  await until(() => {
    isSecondWaiting.push(answers(fifos[1], '0\n'))
    return answers(fifos[0], '21000\n')
  }, 'first reader')
  assert.ok(!isSecondWaiting.includes(true))
  await until(() => answers(fifos[1], '22000\n'), 'second reader')
  assert.deepEqual(await Promise.all(readings), [21, 22])
})
