import assert from 'node:assert/strict'
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { groupOf } from '../../../runtime/bridges/sacn/sacn-packet.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'

/** Loopback takes no IPv6 multicast, so that this runs on a virtual wire that ends within a network namespace of its own. */
const WIRE = [
  'ip link set lo up',
  'ip link add v0 type veth peer name v1',
  'ip link set v0 addrgenmode none',
  'ip addr add fd09::1/64 dev v0 nodad',
  'ip addr add fd09::2/64 dev v0 nodad',
  'ip addr add fe80::1/64 dev v0 nodad',
  'ip link set v1 up',
  'ip link set v0 up',
]
const PORT = 5568
const int = (value: number): Value => ({ type: 'i64', value })

function wireMissing(): string | false {
  const { status, stderr, error } = spawnSync('unshare', ['-n', 'sh', '-ec', WIRE.join('\n')], { encoding: 'utf8' })
  if (status === 0) return false
  return `SKIPPED: sACN over IPv6 needs a network namespace (root, unshare, ip): ${error?.message ?? stderr.trim()}`
}

async function receiver(t: TestContext, address: string, group?: string) {
  const socket = createSocket({ type: 'udp6', reuseAddr: true })
  const got: Buffer[] = []
  socket.on('message', (bytes) => got.push(bytes))
  socket.bind(PORT, group ?? address)
  await once(socket, 'listening')
  if (group !== undefined) socket.addMembership(group, '::%v0')
  t.after(() => socket.close())
  return { socket, got }
}

/** One slot of a universe below 256, as E1.31 lays it out. */
function frame(universe: number, level: number): Buffer {
  const root = `001000004153432d45312e3137000000706f00000004${'07'.repeat(16)}`
  const framing = `705900000002${'00'.repeat(64)}6400000100${universe.toString(16).padStart(4, '0')}`
  return Buffer.from(`${root}${framing}700c02a1000000010002${'00'}${level.toString(16).padStart(2, '0')}`, 'hex')
}

if (process.env.CLASP_TEST_WIRE === undefined) {
  test('the IPv6 group of a universe has its bytes in two parts', () => {
    assert.equal(groupOf(1, 'IPv6'), 'ff18::83:0:0:1')
    assert.equal(groupOf(64_214, 'IPv6'), 'ff18::83:0:fa:d6')
    assert.equal(groupOf(64_214, 'IPv4'), '239.255.250.214')
  })

  test('destinations of a family that is not used are refused', async (t) => {
    const yaml = (ip: string) =>
      `- { id: s, kind: sacn, ip: ${ip}, outputs: [{ universe: 1, destinations: ['fd09::2'] }] }`
    await assert.rejects(BridgeScene.start(t, yaml('v4')), /fd09::2 is no IPv4 address: set ip to both/)
  })

  test('sACN passes over IPv6 in both directions', { skip: wireMissing() }, async () => {
    const own = fileURLToPath(import.meta.url)
    const script = [...WIRE, 'exec "$0" --enable-source-maps "$1"'].join('\n')
    const env = { ...process.env, CLASP_TEST_WIRE: 'v0', NODE_TEST_CONTEXT: undefined }
    const command = ['-n', 'sh', '-ec', script, process.execPath, own]
    const { stdout } = await promisify(execFile)('unshare', command, { env, timeout: 60_000 })
    assert.match(stdout, /pass 3\b/)
  })
} else {
  test('by multicast', async (t) => {
    const { socket, got } = await receiver(t, '', 'ff18::83:0:1:2')
    const yaml =
      '- { id: s, kind: sacn, interface: v0, ip: v6, inputs: [{ universe: 7 }], outputs: [{ universe: 258 }] }'
    const scene = await BridgeScene.start(t, yaml)
    assert.equal(scene.report('s').state, 'running')
    await scene.set('/sacn/258/1', int(200))
    await until(() => got.length > 0, 'a frame')
    assert.deepEqual([got[0].length, got[0].readUInt16BE(113), got[0][126]], [638, 258, 200])
    socket.setMulticastInterface('::%v0')
    socket.send(frame(7, 99), PORT, 'ff18::83:0:0:7')
    assert.deepEqual(await scene.untilParam('/sacn/7/1'), int(99))
  })

  test('an address that nobody can use yet does not keep the bridge from those that are there', async (t) => {
    // For a second or two the system asks whether somebody else has it.
    execFileSync('ip', ['addr', 'add', 'fd09::7/64', 'dev', 'v0'])
    const scene = await BridgeScene.start(t, '- { id: s, kind: sacn, interface: v0, ip: both, outputs: [] }')
    assert.deepEqual([scene.report('s').state, scene.report('s').lastError], ['running', ''])
  })

  test('by unicast', async (t) => {
    const { socket, got } = await receiver(t, 'fd09::2')
    const output = "{ universe: 1, destinations: ['fd09::2'] }"
    const yaml = `- { id: s, kind: sacn, interface: 'fd09::1', ip: both, inputs: [{ universe: 7 }], outputs: [${output}] }`
    const scene = await BridgeScene.start(t, yaml)
    await scene.set('/sacn/1/1', int(200))
    await until(() => got.length > 0, 'a frame')
    assert.equal(got[0][126], 200)
    socket.send(frame(7, 99), PORT, 'fd09::1')
    assert.deepEqual(await scene.untilParam('/sacn/7/1'), int(99))
  })
}
