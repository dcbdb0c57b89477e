import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { LocalNetworks } from '../../../runtime/bridges/osc/local-networks.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { float32, freeUdpPort, Gear, hex, int32, message, startOsc, text } from './osc-scene.ts'

const int = (value: number): Value => ({ type: 'i64', value })
const float = (value: number): Value => ({ type: 'f64', value })
const string = (value: string): Value => ({ type: 'string', value })
const FADER = hex('2f312f66616465723100 0000 2c660000 3f000000')

test('what a peer sends goes to the others and not back to it, unless the router made something else of it', async (t) => {
  const { port, scene } = await startOsc(t, ', autoSubscribe: true')
  const a = await Gear.open(t, port)
  const b = await Gear.open(t, port)
  a.send(message('/clasp/ping'))
  b.send(message('/clasp/ping'))
  await a.hears('/clasp/pong')
  await b.hears('/clasp/pong')
  a.send(FADER, message('/go', 's', text('now')))
  await b.hears('/1/fader1')
  await b.hears('/go')
  await scene.set('/osc/1/fader1', float(0.25))
  await a.hears('/1/fader1')
  assert.deepEqual(
    a.messages.map(({ address, value }) => [address, value]),
    [
      ['/clasp/pong', { type: 'null' }],
      ['/1/fader1', float(0.25)],
    ],
  )
})

test('a value that a program only repeats is dropped; one that it sets anew is not', async (t) => {
  const target = await Gear.open(t)
  const { port, scene } = await startOsc(t, `, echoWindow: 10s, targets: [{host: 127.0.0.1, port: ${target.port}}]`)
  await scene.set('/osc/x', int(1))
  await target.hears('/x')
  const answering = await Gear.open(t, port)
  // From another port than it listens at, and as a float, as many do.
  answering.send(message('/x', 'f', float32(1)))
  await until(() => scene.report('osc').inDropped === 1, 'a dropped echo')
  answering.send(message('/x', 'f', float32(1)))
  assert.deepEqual(await scene.untilParam('/osc/x', ({ type }) => type === 'f64'), float(1))
  // Back to where it was a moment ago, by the hand that was there.
  answering.send(message('/x', 'i', int32(2)))
  await scene.untilParam('/osc/x', (value) => 'value' in value && value.value === 2)
  answering.send(message('/x', 'f', float32(1)))
  await scene.untilParam('/osc/x', (value) => 'value' in value && value.value === 1)
  assert.equal(scene.report('osc').inDropped, 1)
})

test('an OSC program subscribes, asks and unsubscribes, and gets answers at the port that it names', async (t) => {
  const { port, scene } = await startOsc(t)
  await scene.set('/osc/mix/1', float(0.25))
  await scene.set('/osc/other', int(1))
  const sender = await Gear.open(t, port)
  const receiver = await Gear.open(t)
  sender.send(message('/clasp/reply', 'i', int32(receiver.port)))
  sender.send(message('/clasp/subscribe', 's', text('/mix/*')))
  assert.deepEqual((await receiver.hears('/mix/1')).value, float(0.25))
  await scene.set('/osc/mix/2', int(5))
  await receiver.hears('/mix/2')
  sender.send(message('/clasp/get', 's', text('/other')))
  assert.deepEqual((await receiver.hears('/other')).value, int(1))
  sender.send(message('/clasp/unsubscribe', 's', text('/mix/*')), message('/clasp/get', 's', text('/nothing')))
  assert.deepEqual((await receiver.hears('/clasp/error')).value, {
    type: 'array',
    value: [string('/clasp/get'), string('there is no value at /nothing')],
  })
  await scene.set('/osc/mix/2', int(6))
  sender.send(message('/clasp/ping', 'i', int32(9)))
  assert.deepEqual((await receiver.hears('/clasp/pong')).value, int(9))
  assert.deepEqual((await receiver.hears('/mix/2')).value, int(5))
  assert.deepEqual(sender.packets, [])
  // Requests are no signals.
  assert.equal(
    scene.heard.some(({ address }) => address.startsWith('/osc/clasp')),
    false,
  )
})

test('senders are remembered up to a number, and forgotten when they are silent', async (t) => {
  const clock = new SteppedClock()
  const { port, scene } = await startOsc(t, ', maxPeers: 2, peerTimeout: 5s', { clock })
  const listening = await Gear.open(t, port)
  listening.send(message('/clasp/subscribe', 's', text('/**')), message('/clasp/ping'))
  await listening.hears('/clasp/pong')
  for (const name of ['/a', '/b', '/c']) {
    const gear = await Gear.open(t, port)
    gear.send(message(name))
    await scene.untilParam(`/osc${name}`)
  }
  assert.equal(scene.report('osc').peers, 2)
  // Who listens stays rather than who only sends.
  await listening.hears('/c')
  clock.advance(7000)
  await scene.settle()
  assert.equal(scene.report('osc').peers, 0)
})

test('only networks that are allowed, and senders that show the token, are heard', async (t) => {
  const elsewhere = await startOsc(t, ', allow: ["10.0.0.0/8", "127.0.0.9"]')
  const stranger = await Gear.open(t, elsewhere.port)
  const friend = await Gear.open(t, elsewhere.port, '127.0.0.9')
  stranger.send(message('/a'))
  await until(() => elsewhere.scene.report('osc').inDropped === 1, 'a refused sender')
  friend.send(message('/b'))
  await elsewhere.scene.untilParam('/osc/b')
  assert.equal(elsewhere.scene.param('/osc/a'), undefined)

  const { port, scene } = await startOsc(t, ', token: secret')
  const gear = await Gear.open(t, port)
  gear.send(message('/a'), message('/clasp/auth', 's', text('wrong')), message('/clasp/auth', 's', text('secret')))
  await gear.hears('/clasp/auth')
  gear.send(message('/b'))
  await scene.untilParam('/osc/b')
  assert.equal(scene.param('/osc/a'), undefined)
  assert.equal(scene.report('osc').inDropped, 2)
})

test('a host that sends and hears as one does not get its own values back from whatever port it sends', async (t) => {
  const target = await Gear.open(t, 0, '127.0.0.7')
  const other = await Gear.open(t)
  const { port, scene } = await startOsc(
    t,
    `, targets: [{host: 127.0.0.7, port: ${target.port}, hearsItself: false}, {host: 127.0.0.1, port: ${other.port}}]`,
  )
  const fader = await Gear.open(t, port, '127.0.0.7')
  fader.send(FADER, message('/go'))
  await other.hears('/go')
  await scene.set('/osc/x', int(1))
  await target.hears('/x')
  assert.equal(target.packets.length, 1)
})

test('two bridges that send to each other do not go round in circles', async (t) => {
  const [a, b] = [await freeUdpPort(), await freeUdpPort()]
  const { scene } = await startOsc(t)
  await scene.apply(`- {id: a, kind: osc, namespace: /a, listen: ${a}, host: 127.0.0.1, targets: [{host: 127.0.0.1, port: ${b}}]}
- {id: b, kind: osc, namespace: /b, listen: ${b}, host: 127.0.0.1, targets: [{host: 127.0.0.1, port: ${a}}]}`)
  await scene.set('/a/x', int(1))
  await scene.untilParam('/b/x')
  await scene.set('/b/x', int(2))
  await scene.untilParam('/a/x', (value) => 'value' in value && value.value === 2)
  await scene.event('/a/go', int(3))
  await until(() => scene.heard.some(({ address }) => address === '/b/go'), 'an event')
  await scene.set('/a/end', int(4))
  await scene.untilParam('/b/end')
  assert.deepEqual(
    scene.heard.filter(({ address }) => /^\/[ab]\//.test(address)).map(({ address, value }) => [address, value]),
    [
      ['/a/x', int(1)],
      ['/b/x', int(1)],
      ['/b/x', int(2)],
      ['/a/x', int(2)],
      ['/b/go', int(3)],
      ['/a/end', int(4)],
      ['/b/end', int(4)],
    ],
  )
})

/** Bytes with those of IPv4 and UDP. */
const weightOf = (packets: readonly Buffer[]) => packets.reduce((sum, { length }) => sum + 28 + length, 0)

async function challenged(gear: Gear): Promise<number> {
  const { value } = await gear.hears('/clasp/challenge')
  return value.type === 'i64' ? Number(value.value) : 0
}

test('a sender that may be forged gets three times its bytes at most, and all when it proves that it receives', async (t) => {
  const { port, scene } = await startOsc(t, ', mustProve: everyone')
  const addresses = Array.from({ length: 50 }, (_, i) => `/v/${i}`)
  for (const address of addresses) await scene.set(`/osc${address}`, int(1))
  const gear = await Gear.open(t, port)
  const asked = [message('/clasp/subscribe', 's', text('/v/*'))]
  gear.send(...asked)
  await challenged(gear)
  for (const address of addresses) await scene.set(`/osc${address}`, int(2))
  assert.ok(weightOf(gear.packets) <= 3 * weightOf(asked), `${weightOf(gear.packets)} bytes`)
  // A wrong number is one of many tries: there is another challenge, within what the try brought.
  const first = await challenged(gear)
  asked.push(message('/clasp/prove', 'i', int32(first === 1 ? 2 : 1)), message('/again'))
  gear.send(...asked.slice(1))
  await until(() => gear.messages.filter(({ address }) => address === '/clasp/challenge').length >= 2, 'another one')
  await scene.untilParam('/osc/again')
  assert.ok(weightOf(gear.packets) <= 3 * weightOf(asked), `${weightOf(gear.packets)} bytes`)
  assert.notEqual(await challenged(gear), first)
  assert.match(scene.report('osc').lastError, /until it answers \/clasp\/challenge; see mustProve/)
  gear.send(message('/clasp/prove', 'i', int32(await challenged(gear))))
  const last = (address: string) => gear.messages.findLast((one) => one.address === address)?.value
  await until(
    () => addresses.every((address) => JSON.stringify(last(address)) === JSON.stringify(int(2))),
    'all values',
  )
})

test('a sender that has proved itself is not forgotten for those that have not', async (t) => {
  const { port, scene } = await startOsc(t, ', mustProve: everyone, maxPeers: 2')
  await scene.set('/osc/long', string('x'.repeat(300)))
  const subscribe = message('/clasp/subscribe', 's', text('/**'))
  const listening = await Gear.open(t, port)
  listening.send(subscribe)
  listening.send(message('/clasp/prove', 'i', int32(await challenged(listening))))
  await listening.hears('/long')
  for (let i = 0; i < 3; i++) {
    const forged = await Gear.open(t, port)
    forged.send(subscribe)
    await challenged(forged)
  }
  await scene.set('/osc/x', int(1))
  await listening.hears('/x')
})

test('a bridge proves that it receives what it is sent', async (t) => {
  // As float32 the number would be another one.
  const { port } = await startOsc(t, ', numbers: int-as-float')
  const gear = await Gear.open(t, port)
  gear.send(message('/clasp/challenge', 'i', int32(1_234_567_891)))
  assert.deepEqual((await gear.hears('/clasp/prove')).value, int(1_234_567_891))
})

test('a value that was asked for and held back follows when the sender has proved itself', async (t) => {
  const { port, scene } = await startOsc(t, ', mustProve: everyone')
  await scene.set('/osc/long', string('x'.repeat(400)))
  const gear = await Gear.open(t, port)
  gear.send(message('/clasp/get', 's', text('/long')))
  gear.send(message('/clasp/prove', 'i', int32(await challenged(gear))))
  assert.deepEqual((await gear.hears('/long')).value, string('x'.repeat(400)))
})

test('private networks and those of this machine are local', () => {
  const local = new LocalNetworks(new SteppedClock())
  const own = Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address))
  for (const host of [...own, '127.0.0.9', '192.168.7.1', '::ffff:10.1.2.3', '172.31.0.1', 'fd12::1', 'fe80::1%lo']) {
    assert.ok(local.includes(host), host)
  }
  for (const host of ['198.51.100.7', '172.32.0.1', '::ffff:8.8.8.8', '2001:db8::1', 'fec0::1']) {
    assert.ok(!local.includes(host), host)
  }
})
