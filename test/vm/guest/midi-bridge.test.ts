import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Product } from './product.ts'
import { programPath } from './programs.ts'
import { until } from './until.ts'

/** As the kernel names them, in order: what other tests send goes from the first one to the second one. */
function virtualPorts(): { client: string; name: string; device: string }[] {
  const devices = readdirSync('/dev/snd').filter((name) => name.startsWith('midiC'))
  const text = readFileSync('/proc/asound/seq/clients', 'utf8')
  const ports = [...text.matchAll(/^Client +(\d+) : "Virtual Raw MIDI.*\n +Port +0 : "([^"]+)"/gm)]
  return ports.map(([, client, name], at) => ({ client, name, device: `/dev/snd/${devices.sort()[at]}` }))
}

/** Number of the client that has a port of the name and takes messages. */
function receiver(port: string): string | undefined {
  const text = readFileSync('/proc/asound/seq/clients', 'utf8')
  return new RegExp(`^Client +(\\d+) : .*\\n +Port +0 : "${port}" \\(-W`, 'm').exec(text)?.[1]
}

function state(product: Product): unknown {
  const status = product.params.get('/_meta/bridges/midi')
  return typeof status === 'object' && status !== null && 'state' in status ? status.state : undefined
}

test('ports of ALSA are read and written, in any order of messages', async (t) => {
  const [first, second] = virtualPorts()
  const product = await Product.start(
    t,
    `bridges:
  - id: midi
    kind: midi
    sysex: true
    ports: [{port: "${second.name}", name: pad, direction: in}]
    map: [{match: /midi/pad/sysex, to: /out/synth/sysex, direction: in}]
  - id: out
    kind: midi
    namespace: /out
    sysex: true
    ports: [{port: "${first.name}", name: synth, direction: out, rate: 20000}]
`,
  )
  await until(() => state(product) === 'running', 'both ports')
  await writeFile(second.device, Buffer.from('b00740 0841 e50040 904060'.replaceAll(' ', ''), 'hex'))
  await until(() => product.events.some(({ address }) => address === '/midi/pad/ch/0/note'), 'the note')
  assert.equal(product.params.get('/midi/pad/ch/0/cc/7'), 64)
  assert.equal(product.params.get('/midi/pad/ch/0/cc/8'), 65)
  assert.equal(product.params.get('/midi/pad/ch/5/bend'), 0)

  const heard: Buffer[] = []
  const listener = spawn('cat', [first.device], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => listener.kill())
  listener.stdout.on('data', (bytes) => heard.push(bytes))
  const hex = () => Buffer.concat(heard).toString('hex')
  // Until the listener has its device open nothing arrives.
  for (let value = 1; hex() === '' && value < 100; value++) {
    await product.set('/out/synth/ch/1/cc/1', value)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  await product.set('/out/synth/ch/1/cc/7', 64)
  await product.set('/out/synth/ch/1/bend', -8192)
  await product.set('/out/synth/ch/2/nrpn/136', 12_803)
  await product.publish('/out/synth/ch/3/note', { note: 60, velocity: 100 })
  await product.publish('/out/synth/transport', 'start')
  await until(() => hex().endsWith('fa'), 'the start')
  // Drivers of rawmidi leave out status bytes that repeat.
  assert.match(hex(), /(b1)?0740e10000b26301(b2)?6208(b2)?0664(b2)?2603(b2)?657f(b2)?647f933c64fa$/)

  // More than an event of the sequencer holds.
  const sysEx = Buffer.alloc(3000, 0x55)
  sysEx[0] = 0xf0
  sysEx[sysEx.length - 1] = 0xf7
  await writeFile(second.device, sysEx)
  await until(() => hex().endsWith('f7'), 'the end of SysEx')
  assert.ok(hex().endsWith(`fa${sysEx.toString('hex')}`))
})

test('a port of another program is awaited, found, and missed when it goes', async (t) => {
  const [, second] = virtualPorts()
  const waiting = await Product.start(t, 'bridges: [{id: midi, kind: midi, ports: [{port: late-port, name: late}]}]\n')
  await until(() => state(waiting) === 'degraded', 'the lack of the port')
  const other = await Product.start(
    t,
    'bridges: [{id: midi, kind: midi, ports: [{port: "virtual:late-port", name: own}]}]\n',
  )
  await until(() => state(waiting) === 'running', 'the port')
  await other.set('/midi/own/ch/0/cc/9', 33)
  await until(() => waiting.params.get('/midi/late/ch/0/cc/9') === 33, 'the controller')

  const client = receiver('late-port')
  assert.equal(spawnSync(programPath('midi-cable'), [second.client, client ?? '']).status, 0)
  await writeFile(second.device, Buffer.from('b90a0b', 'hex'))
  await until(() => other.params.get('/midi/own/ch/9/cc/10') === 11, 'the controller at our own port')

  other.child.kill('SIGKILL')
  await until(() => state(waiting) === 'degraded', 'the loss of the port')
})
