import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseConfig } from '../../../runtime/config/load.ts'
import { Scene } from '../scene.ts'
import { checksum, framed, ModbusSlaves } from './modbus-slaves.ts'

const PORT = '/dev/ttyUSB0'

interface Line {
  scene: Scene
  slaves: ModbusSlaves
}

/** Slaves that answer at once, at a port of which the time stands still. */
async function start(t: TestContext, more: string, prepare: (slaves: ModbusSlaves) => void): Promise<Line> {
  const slaves = new ModbusSlaves()
  let scene: Scene | undefined
  prepare(slaves)
  // Before the scene stops by itself: what is safe is written while time passes.
  t.after(async () => {
    const stopping = scene?.stop()
    await scene?.pass(2000, 10)
    await stopping
  })
  scene = await Scene.start(t, `- {name: plant, kind: modbus, port: ${PORT}, simulate: false, ${more}}`, {
    prepare: ({ serial }) => {
      serial.onWritten = (port, bytes) => {
        const answer = slaves.hear(bytes)
        if (answer !== null) serial.feed(port, answer)
      }
    },
  })
  return { scene, slaves }
}

const values = ({ scene }: Line, ...keys: string[]) => keys.map((key) => scene.params.get(`/modbus/plant/${key}`))

/** By the code under test, as it goes over the wire. */
const sent = ({ slaves }: Line) => slaves.requests.splice(0)

test('the checksum of the test is that of the published frames', () => {
  const frames = [
    '01030000000AC5CD',
    '1103006B00037687',
    '110306AE415652434049AD',
    '110500ACFF004E8B',
    '1106000100039A9B',
  ]
  for (const frame of frames) {
    const bytes = Buffer.from(frame, 'hex')
    assert.equal(checksum(bytes.subarray(0, -2)), bytes.readUInt16LE(bytes.length - 2), frame)
  }
})

test('the published request brings the published answer', async (t) => {
  const written: string[] = []
  const scene = await Scene.start(
    t,
    `- name: meter
  kind: modbus
  port: ${PORT}
  simulate: false
  registers:
  - {name: a, slave: 17, register: 107}
  - {name: b, slave: 17, register: 108}
  - {name: c, slave: 17, register: 109, type: s16}`,
    {
      prepare: ({ serial }) => {
        serial.onWritten = (port, bytes) => {
          written.push(Buffer.from(bytes).toString('hex'))
          // In three pieces, as a line brings them.
          for (const piece of ['1103', '06ae4156', '52434049ad']) serial.feed(port, Buffer.from(piece, 'hex'))
        }
      },
    },
  )
  assert.deepEqual(written, ['1103006b00037687'])
  const read = ['a', 'b', 'c'].map((key) => scene.params.get(`/modbus/meter/${key}`))
  assert.deepEqual(read, [0xae41, 0x5652, 0x4340])
})

test('all types of registers are read, neighbours with one request', async (t) => {
  const line = await start(
    t,
    `registers: [
    {name: u16, register: 0}, {name: s16, register: 1, type: s16, scale: 0.1, unit: Cel, min: -40, max: 85},
    {name: u32, register: 2, type: u32}, {name: s32, register: 4, type: s32, words: low},
    {name: f32, register: 6, type: f32}, {name: alarm, register: 8, bit: 3}, {name: ready, register: 8, bit: 15},
    {name: far, register: 20}, {name: input, area: input, register: 0, scale: 2, offset: -10},
    {name: limit, area: discrete, register: 9}, {name: valve, area: coil, register: 8}, {name: pump, area: coil, register: 7}]`,
    (slaves) => {
      slaves.set(1, 'holding', 0, 65_535, 0xff38, 0x0001, 0x86a0, 0xfffe, 0xffff, 0x41ac, 0xcccd, 0x0008)
      slaves.set(1, 'holding', 20, 7)
      slaves.set(1, 'input', 0, 100)
      slaves.set(1, 'discrete', 9, 1)
      slaves.set(1, 'coil', 7, 0, 1)
    },
  )
  await line.scene.pass(100, 5)
  assert.deepEqual(values(line, 'u16', 's16', 'u32', 's32', 'f32'), [65_535, -20, 100_000, -2, 21.6])
  assert.deepEqual(values(line, 'alarm', 'ready', 'far', 'input'), [true, false, 7, 190])
  assert.deepEqual(values(line, 'limit', 'valve', 'pump'), [true, true, false])
  const requests = ['010300000009', '010300140001', '010400000001', '010200090001', '010100070002']
  assert.deepEqual(sent(line).sort(), requests.sort())
  const signal = line.scene.signals.find(({ address }) => address === '/modbus/plant/s16')
  assert.deepEqual([signal?.datatype, signal?.meta?.unit, signal?.meta?.range], ['f64', 'Cel', [-40, 85]])
})

test('registers are read as often as they want, and not at once where a slave cannot', async (t) => {
  const line = await start(
    t,
    'longestRead: 2, registers: [{name: a, register: 0}, {name: b, register: 1}, {name: c, register: 2}, {name: d, register: 3, every: 10s}]',
    (slaves) => slaves.set(1, 'holding', 0, 1, 2, 3, 4),
  )
  await line.scene.pass(100, 5)
  assert.deepEqual(sent(line).sort(), ['010300000002', '010300020001', '010300030001'])
  await line.scene.pass(9000, 20)
  const requests = sent(line)
  assert.equal(requests.filter((one) => one === '010300000002').length, 9)
  assert.equal(requests.filter((one) => one === '010300030001').length, 0)
  assert.deepEqual(values(line, 'a', 'b', 'c', 'd'), [1, 2, 3, 4])
})

test('between two requests the line is silent for 3.5 characters, and 1.75 ms when it is fast', async (t) => {
  for (const [baudRate, silenceMs] of [
    [9600, (3.5 * 11 * 1000) / 9600],
    [115_200, 1.75],
  ]) {
    const line = await start(
      t,
      `baudRate: ${baudRate}, registers: [{name: a, register: 0}, {name: b, slave: 2, register: 0}]`,
      (slaves) => {
        slaves.set(1, 'holding', 0, 1)
        slaves.set(2, 'holding', 0, 2)
      },
    )
    assert.equal(sent(line).length, 1)
    await line.scene.pass(silenceMs - 0.01)
    assert.equal(sent(line).length, 0)
    await line.scene.pass(0.02)
    assert.equal(sent(line).length, 1)
  }
})

test('what is written is read back, with the function that fits', async (t) => {
  const line = await start(
    t,
    `registers: [{name: valve, area: coil, register: 172, access: rw, every: 1h},
    {name: speed, register: 1, access: rw, scale: 0.5, every: 1h}, {name: total, register: 2, type: u32, access: rw, every: 1h},
    {name: run, register: 10, bit: 2, access: rw, every: 1h}, {name: level, register: 11, type: f32, words: low, access: rw, every: 1h}]`,
    (slaves) => {
      slaves.set(1, 'coil', 172, 0)
      slaves.set(1, 'holding', 1, 0, 0, 0)
      slaves.set(1, 'holding', 10, 0b1010, 0, 0)
    },
  )
  const { scene } = line
  await scene.pass(100, 5)
  sent(line)
  const write = async (key: string, value: number | boolean | string) => {
    await scene.set(`/modbus/plant/${key}`, value)
    await scene.pass(100, 5)
    return sent(line)
  }
  assert.deepEqual(await write('valve', 'on'), ['010500acff00', '010100ac0001'])
  assert.deepEqual(await write('speed', 1.5), ['010600010003', '010300010001'])
  assert.deepEqual(await write('total', 0x000a0102), ['01100002000204000a0102', '010300020002'])
  assert.deepEqual(await write('run', true), ['0103000a0001', '0106000a000e', '0103000a0001'])
  assert.deepEqual(await write('run', false), ['0103000a0001', '0106000a000a', '0103000a0001'])
  assert.deepEqual(await write('level', 21.6), ['0110000b000204cccd41ac', '0103000b0002'])
  assert.deepEqual(values(line, 'valve', 'speed', 'total', 'run', 'level'), [true, 1.5, 655_618, false, 21.6])
})

test('clients see what a slave made of a value, and what it is when it refuses', async (t) => {
  const line = await start(t, 'registers: [{name: speed, register: 1, access: rw, max: 100, min: 0}]', (slaves) =>
    slaves.set(1, 'holding', 1, 40),
  )
  const { scene, slaves } = line
  await scene.pass(50, 5)
  slaves.answers.push(null, framed([1, 0x86, 3]))
  await scene.set('/modbus/plant/speed', 1000)
  await scene.pass(1500, 10)
  assert.deepEqual(values(line, 'speed'), [40])
  assert.match(String(scene.told('/modbus/plant/error', 'message')), /speed was not written: illegal data value/)
  assert.ok(sent(line).includes('010600010064'), 'the value is cut to its range')
  slaves.unknown.add(6)
  await scene.set('/modbus/plant/speed', 70)
  await scene.pass(200, 5)
  assert.deepEqual(values(line, 'speed'), [70])
  assert.equal(slaves.get(1, 'holding', 1), 70)
  assert.ok(sent(line).includes('01100001000102' + '0046'), 'a slave without function 6 is written with 16')
})

test('a lost or garbled answer is asked for again', async (t) => {
  const line = await start(t, 'registers: [{name: a, register: 0, every: 10s}]', (slaves) => {
    slaves.set(1, 'holding', 0, 5)
    slaves.answers.push(null, Buffer.from('0103020005ffff', 'hex'), Buffer.from('ff', 'hex'))
  })
  const { scene, slaves } = line
  await scene.pass(2000, 10)
  assert.equal(sent(line).length, 4)
  assert.deepEqual(values(line, 'a', 'ok'), [5, true])
  // Noise before the answer, an answer of another slave, and the rest of one that came too late.
  slaves.answers.push(Buffer.concat([Buffer.from([0, 0x01, 0x03]), framed([2, 3, 2, 0, 9]), framed([1, 3, 2, 0, 6])]))
  await scene.pass(9000, 50)
  assert.deepEqual(values(line, 'a'), [6])
  assert.equal(slaves.broken, 0)
})

test('a slave that is away does not stop the others, is asked less and less often, and comes back', async (t) => {
  const line = await start(
    t,
    'registers: [{name: a, slave: 1, register: 0}, {name: b, slave: 2, register: 0}, {name: c, slave: 2, register: 5, access: rw}]',
    (slaves) => {
      slaves.set(1, 'holding', 0, 1)
      slaves.set(2, 'holding', 0, 2)
      slaves.set(2, 'holding', 5, 3)
    },
  )
  const { scene, slaves } = line
  await scene.pass(100, 5)
  assert.deepEqual(values(line, 'a', 'b', 'c', 'ok'), [1, 2, 3, true])
  slaves.away.add(2)
  await scene.pass(60_000, 50)
  assert.deepEqual(values(line, 'a', 'b', 'ok'), [1, null, false])
  assert.match(
    String(scene.told('/modbus/plant/error', 'message').at(-1)),
    /plant: slave 2 is away: no answer at 9600 baud 8N1: check its address, power, wires/,
  )
  sent(line)
  await scene.pass(120_000, 100)
  const requests = sent(line)
  const others = requests.filter((one) => one.startsWith('01')).length
  const asked = requests.filter((one) => one.startsWith('02')).length
  assert.ok(others >= 115 && others <= 121, `${others}`)
  assert.ok(asked >= 1 && asked <= 4, `${asked}`)
  await scene.set('/modbus/plant/c', 9)
  assert.match(String(scene.told('/modbus/plant/error', 'message').at(-1)), /c was not written: slave 2 is away/)
  slaves.away.clear()
  await scene.pass(60_000, 100)
  assert.deepEqual(values(line, 'b', 'c', 'ok'), [2, 3, true])
  assert.equal(slaves.get(2, 'holding', 5), 3)
})

test('a register that a slave does not have is told in words, and its neighbours are read alone', async (t) => {
  const line = await start(
    t,
    'registers: [{name: a, register: 0}, {name: b, register: 1}, {name: c, register: 2}]',
    (slaves) => slaves.set(1, 'holding', 0, 10, 11),
  )
  await line.scene.pass(1000, 10)
  assert.deepEqual(values(line, 'a', 'b', 'c', 'ok'), [10, 11, null, false])
  assert.match(
    String(line.scene.told('/modbus/plant/error', 'message')),
    /c of slave 1 cannot be read: illegal data address: it has no such register/,
  )
  line.slaves.set(1, 'holding', 2, 12)
  await line.scene.pass(60_000, 100)
  assert.deepEqual(values(line, 'c', 'ok'), [12, true])
})

const OUTPUTS = `registers: [{name: heater, area: coil, register: 0, access: rw, safe: 0, onHubLoss: safe},
  {name: fan, slave: 2, register: 0, access: rw, scale: 0.1, safe: 100}, {name: lamp, area: coil, register: 1, access: rw}]`

function outputs(slaves: ModbusSlaves): void {
  slaves.set(1, 'coil', 0, 1, 1)
  slaves.set(2, 'holding', 0, 0)
}

const held = ({ slaves }: Line) => [slaves.get(1, 'coil', 0), slaves.get(2, 'holding', 0), slaves.get(1, 'coil', 1)]

test('outputs are safe at the start and at the stop, and those without a safe value stay as they are', async (t) => {
  const line = await start(t, OUTPUTS, outputs)
  const { scene } = line
  await scene.pass(100, 5)
  assert.deepEqual(held(line), [0, 1000, 1])
  assert.deepEqual(values(line, 'heater', 'fan', 'lamp'), [false, 100, true])
  await scene.set('/modbus/plant/heater', true)
  await scene.set('/modbus/plant/fan', 20)
  await scene.pass(100, 5)
  assert.deepEqual(held(line), [1, 200, 1])
  const stopping = scene.stop()
  await scene.pass(500, 5)
  await stopping
  assert.deepEqual(held(line), [0, 1000, 1])
})

test('outputs are safe without the hub where that is wanted', async (t) => {
  const line = await start(t, OUTPUTS, outputs)
  await line.scene.pass(100, 5)
  await line.scene.set('/modbus/plant/heater', true)
  await line.scene.set('/modbus/plant/fan', 20)
  await line.scene.pass(100, 5)
  line.scene.devices.onHub(false)
  await line.scene.pass(100, 5)
  assert.deepEqual(held(line), [0, 200, 1])
  assert.deepEqual(values(line, 'heater', 'fan'), [false, 20])
  assert.match(
    String(line.scene.told('/modbus/plant/error', 'message')),
    /plant\/heater is in its safe state: the hub is gone/,
  )
})

test('an output has an owner, goes on as it was when that is back, and stands still without what it requires', async (t) => {
  const line = await start(
    t,
    `registers: [{name: heater, area: coil, register: 0, access: rw, safe: 0, every: 100ms, ownerTimeout: 1s, resume: auto},
  {name: fan, slave: 2, register: 0, access: rw, safe: 100, initial: last, requires: /on}]`,
    outputs,
  )
  const { scene, slaves } = line
  const levels = () => [slaves.get(1, 'coil', 0), slaves.get(2, 'holding', 0)]
  await scene.pass(100, 5)
  await scene.set('/modbus/plant/fan', 20)
  const panel = scene.connect('panel')
  panel.send({ type: 'SET', address: '/modbus/plant/heater', value: { type: 'bool', value: true } })
  await scene.pass(100, 5)
  assert.deepEqual([...levels(), ...values(line, 'fan')], [1, 100, 100])
  assert.match(String(scene.told('/modbus/plant/error', 'message')), /plant\/fan cannot be set unless \/on is true/)
  panel.close()
  await scene.pass(1500, 10)
  // It was read several times since.
  assert.deepEqual([...levels(), ...values(line, 'heater')], [0, 100, true])
  await scene.set('/on', true)
  await scene.set('/modbus/plant/fan', 30)
  scene.connect('panel')
  await scene.pass(300, 5)
  assert.deepEqual(levels(), [1, 30])
  const stopping = scene.stop()
  await scene.pass(500, 5)
  await stopping
  assert.deepEqual([...levels(), ...values(line, 'heater', 'fan')], [0, 100, false, 30])
})

test('a slave that does not answer delays neither a safe value at the stop nor what is written', async (t) => {
  const line = await start(
    t,
    'timeout: 60s, registers: [{name: dead, slave: 9, register: 0}, {name: heater, area: coil, register: 0, access: rw, safe: 0}]',
    (slaves) => {
      slaves.set(1, 'coil', 0, 1)
      slaves.set(9, 'holding', 0, 1)
    },
  )
  const { scene, slaves } = line
  await scene.pass(100, 5)
  slaves.away.add(9)
  await scene.pass(1000, 10)
  await scene.set('/modbus/plant/heater', true)
  await scene.pass(70_000, 50)
  assert.equal(slaves.get(1, 'coil', 0), 1, 'written after the first request without an answer, not after the fourth')
  assert.ok(sent(line).filter((one) => one.startsWith('09')).length < 4)
  await scene.pass(1000, 10)
  const stopping = scene.stop()
  await scene.pass(50, 5)
  assert.equal(slaves.get(1, 'coil', 0), 0)
  await stopping
})

test('an output with a dead-man switch is safe when nobody writes it, and a slave gets its safe value when it is back', async (t) => {
  const line = await start(
    t,
    'registers: [{name: saw, area: coil, register: 0, access: rw, safe: 0, deadman: 1s}]',
    outputs,
  )
  const { scene, slaves } = line
  await scene.pass(100, 5)
  for (let i = 0; i < 4; i++) {
    await scene.set('/modbus/plant/saw', true)
    await scene.pass(900, 10)
    assert.equal(slaves.get(1, 'coil', 0), 1)
  }
  slaves.away.add(1)
  await scene.pass(10_000, 20)
  assert.deepEqual(values(line, 'saw'), [false])
  assert.equal(slaves.get(1, 'coil', 0), 1)
  slaves.away.clear()
  await scene.pass(60_000, 50)
  assert.equal(slaves.get(1, 'coil', 0), 0)
  assert.deepEqual(values(line, 'saw', 'ok'), [false, true])
})

test('a command that a slave does not hear leaves the safe value to be written, which came before it', async (t) => {
  const line = await start(
    t,
    'registers: [{name: saw, area: coil, register: 0, access: rw, safe: 0, initial: last}]',
    (slaves) => {
      slaves.set(1, 'coil', 0, 1)
      slaves.away.add(1)
    },
  )
  const { scene, slaves } = line
  await scene.set('/modbus/plant/saw', true)
  await scene.pass(10_000, 20)
  slaves.away.clear()
  await scene.pass(20_000, 50)
  assert.equal(slaves.get(1, 'coil', 0), 0)
  assert.deepEqual(values(line, 'saw'), [false])
})

test('the port may go and come while slaves are asked', async (t) => {
  const line = await start(t, 'registers: [{name: a, register: 0}]', (slaves) => slaves.set(1, 'holding', 0, 5))
  const { scene, slaves } = line
  slaves.answers.push(null)
  await scene.pass(1010, 10)
  scene.serial.unplug(PORT)
  await scene.settle()
  assert.deepEqual(values(line, 'a', 'ok'), [null, false])
  scene.serial.plug(PORT)
  await scene.pass(60_000, 100)
  assert.deepEqual(values(line, 'a', 'ok'), [5, true])
})

test('nothing runs on after the stop', async (t) => {
  const line = await start(t, 'registers: [{name: a, register: 0}, {name: b, slave: 2, register: 0}]', () => {})
  line.slaves.away.add(1)
  await line.scene.pass(700, 10)
  await line.scene.stop()
  const left = line.scene.clock.pendingTimers
  const idle = await Scene.start(t, '- {name: lamp, kind: led, line: A}')
  await idle.stop()
  assert.equal(left, idle.clock.pendingTimers)
})

test('simulated slaves hold what is written, and are played', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: plant, kind: modbus, port: ${PORT}, registers: [{name: t, area: input, register: 0, type: s16, scale: 0.1},
  {name: valve, area: coil, register: 0, access: rw}, {name: level, register: 0, type: f32, access: rw, min: 5, max: 10}]}`,
  )
  await scene.pass(50, 5)
  const read = () => ['t', 'valve', 'level'].map((key) => scene.params.get(`/modbus/plant/${key}`))
  assert.deepEqual(read(), [0, false, 5])
  await scene.set('/modbus/plant/valve', true)
  await scene.set('/modbus/plant/level', 7.5)
  await scene.set('/modbus/plant/simulated/t', -12.3)
  await scene.pass(1500, 50)
  assert.deepEqual(read(), [-12.3, true, 7.5])
})

test('registers that do not fit together are refused with their names', async () => {
  const problem = (row: string) =>
    parseConfig(`devices:\n  - {name: a, kind: modbus, port: /dev/ttyS0, registers: [${row}]}\n`, 'c.yaml').then(
      () => 'accepted',
      (error) => error.message as string,
    )
  assert.match(await problem(''), /registers is empty/)
  assert.match(await problem('{name: a}'), /register is missing/)
  assert.match(await problem('{name: a, register: 0, slave: 248}'), /expected a whole number from 1 to 247/)
  assert.match(await problem('{name: a, register: 65535, type: u32}'), /a: its second register would be 65536/)
  assert.match(await problem('{name: a, area: coil, register: 0, type: u16}'), /a coil is a bool, not u16/)
  assert.match(await problem('{name: a, area: discrete, register: 0, access: rw}'), /a discrete cannot be written/)
  assert.match(await problem('{name: a, area: input, register: 0, safe: 1}'), /safe needs access: rw/)
  assert.match(await problem('{name: a, register: 0, access: rw, deadman: 1s}'), /deadman needs safe/)
  assert.match(await problem('{name: a, register: 0, access: rw, onHubLoss: safe}'), /onHubLoss needs safe/)
  assert.match(await problem('{name: a, register: 0, access: rw, ownerTimeout: 1s}'), /ownerTimeout needs safe/)
  assert.match(await problem('{name: a, register: 0, initial: last}'), /initial: last needs access: rw/)
  assert.match(await problem('{name: a, register: 0, access: rw, safe: 0, requires: b}'), /requires: /)
  assert.match(await problem('{name: a, register: 0, type: bool}'), /bool needs the bit/)
  assert.match(await problem('{name: a, register: 0, scale: 0}'), /scale is 0/)
  assert.match(await problem('{name: a, register: 0}, {name: a, register: 1}'), /two rows have the name a/)
})
