import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'
import { certificates } from '../mqtt/certificates.ts'
import { ForeignProgram, missing } from '../mqtt/foreign-program.ts'
import { Mosquitto } from '../mqtt/mosquitto.ts'

const skip = missing(['mosquitto_pub', 'mosquitto_sub'], 'mosquitto-clients')

async function start(t: TestContext, more = '') {
  const port = await freePort()
  const scene = await BridgeScene.start(t, `- {id: b, kind: mqtt-broker, listen: ${port}, host: 127.0.0.1${more}}`)
  const usual = ['-h', '127.0.0.1', '-p', String(port)]
  const publish = (...args: string[]) => ForeignProgram.run(t, 'mosquitto_pub', [...usual, ...args])
  /** Resolves when its subscription is acknowledged. */
  const subscribe = async (...args: string[]) => {
    const program = ForeignProgram.start(t, 'stdbuf', ['-oL', 'mosquitto_sub', ...usual, '-d', ...args])
    await program.says('Subscribed')
    return program
  }
  return { port, scene, publish, subscribe }
}

for (const version of ['311', '5']) {
  test(`mosquitto_pub and mosquitto_sub ${version}: every QoS arrives, byte by byte`, { skip }, async (t) => {
    const { scene, publish, subscribe } = await start(t)
    const V = ['-V', version]
    const heard = await subscribe(...V, '-q', '2', '-t', 'lab/#', '-v')
    for (const qos of ['0', '1', '2']) await publish(...V, '-q', qos, '-t', `lab/q${qos}`, '-m', `{ "x" : ${qos}.0 }`)
    for (const qos of ['0', '1', '2']) await heard.says(`lab/q${qos} { "x" : ${qos}.0 }`)
    assert.match(heard.output, /received PUBLISH \(d0, q2, r0, m\d+, 'lab\/q2'/)
    assert.deepEqual(await scene.untilParam('/mqtt/lab/q1'), {
      type: 'map',
      value: [['x', { type: 'f64', value: 1 }]],
    })
  })

  test(`mosquitto_sub ${version} gets what is retained, with its flag; an empty payload deletes it`, {
    skip,
  }, async (t) => {
    const { scene, publish, subscribe } = await start(t)
    const V = ['-V', version]
    await publish(...V, '-r', '-q', '1', '-t', 'tele/plug/LWT', '-m', 'Online')
    await scene.set('/mqtt/lamp/level', { type: 'f64', value: 5 })
    const heard = await subscribe(...V, '-t', '#', '-F', '%r %t %p')
    await heard.says('1 tele/plug/LWT Online')
    await heard.says('1 lamp/level 5')
    await publish(...V, '-r', '-n', '-t', 'tele/plug/LWT')
    await heard.says('0 tele/plug/LWT')
    const late = await subscribe(...V, '-t', '#', '-F', '%r %t %p')
    await late.says('1 lamp/level 5')
    assert.doesNotMatch(late.output, /LWT/)
  })

  test(`the will of a mosquitto_sub ${version} that is killed is published`, { skip }, async (t) => {
    const { scene, subscribe } = await start(t)
    const will = ['--will-topic', 'tele/x/LWT', '--will-payload', 'Offline', '--will-retain', '--will-qos', '1']
    const heard = await subscribe('-V', version, '-t', 'x', ...will)
    heard.child.kill('SIGKILL')
    assert.deepEqual(await scene.untilParam('/mqtt/tele/x/LWT'), { type: 'string', value: 'Offline' })
  })
}

test('mosquitto_sub 5 sees the properties that mosquitto_pub gave', { skip }, async (t) => {
  const { publish, subscribe } = await start(t)
  const heard = await subscribe('-V', '5', '-q', '1', '-t', 'p', '-F', '%C|%R|%D|%P|%p')
  const properties = ['content-type text/plain', 'response-topic back', 'correlation-data 77', 'user-property a b']
  const args = properties.flatMap((property) => ['-D', 'publish', ...property.split(' ')])
  await publish('-V', '5', '-q', '1', '-t', 'p', '-m', 'hello', ...args)
  await heard.says('text/plain|back|77|a:b|hello')
})

test('a session waits for mosquitto_sub -c, which gets what was published meanwhile', { skip }, async (t) => {
  const { port, scene, publish } = await start(t)
  const args = ['-V', '311', '-c', '-i', 'waiting', '-q', '1', '-t', 'while/away']
  await ForeignProgram.run(t, 'mosquitto_sub', ['-h', '127.0.0.1', '-p', String(port), ...args, '-E'])
  await publish('-q', '1', '-t', 'while/away', '-m', 'one')
  await publish('-q', '1', '-t', 'while/away', '-m', 'two')
  await scene.untilParam('/mqtt/while/away', (value) => 'value' in value && value.value === 'two')
  const heard = await ForeignProgram.run(t, 'mosquitto_sub', [
    '-h',
    '127.0.0.1',
    '-p',
    String(port),
    ...args,
    '-C',
    '2',
  ])
  assert.equal(heard, 'one\ntwo\n')
})

test('TLS: mosquitto_pub comes in where it trusts the authority, and not otherwise', { skip }, async (t) => {
  const { ca, cert, key } = certificates(t)
  const tlsPort = await freePort()
  const { scene } = await start(t, `, tlsListen: ${tlsPort}, tlsCert: ${cert}, tlsKey: ${key}`)
  const args = ['-h', 'localhost', '-p', String(tlsPort), '-t', 'safe', '-m', 'yes', '-q', '1']
  await ForeignProgram.run(t, 'mosquitto_pub', [...args, '--cafile', ca])
  assert.deepEqual(await scene.untilParam('/mqtt/safe'), { type: 'string', value: 'yes' })
  const stranger = certificates(t)
  await assert.rejects(ForeignProgram.run(t, 'mosquitto_pub', [...args, '--cafile', stranger.ca]))
  await until(() => scene.report('b').errors > 0, 'a problem of TLS')
})

test('mosquitto as a bridge hands on both ways, and nothing goes round', {
  skip: missing(['mosquitto'], 'mosquitto'),
}, async (t) => {
  const { port, scene } = await start(t)
  const bridge = ['connection ours', `address 127.0.0.1:${port}`, 'topic lab/# both 1']
  const other = await Mosquitto.start(t, () => ['allow_anonymous true', ...bridge].join('\n'))
  await until(() => scene.report('b').peers === 1, 'the bridge')
  const heard = await other.subscribe('-t', 'lab/#', '-F', '%t %p')
  await other.publish('-q', '1', '-t', 'lab/there', '-m', '1')
  await scene.untilParam('/mqtt/lab/there')
  await scene.set('/mqtt/lab/here', { type: 'f64', value: 2 })
  await heard.says('lab/here 2')
  await other.publish('-q', '1', '-t', 'lab/end', '-m', '3')
  await scene.untilParam('/mqtt/lab/end')
  assert.equal(heard.output.split('lab/there 1').length, 2)
  assert.equal(scene.heard.filter(({ address }) => address === '/mqtt/lab/there').length, 1)
})
