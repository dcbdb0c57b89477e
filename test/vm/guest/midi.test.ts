import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { programPath } from './programs.ts'
import { until } from './until.ts'

/** Numbers of the virtual ports at the sequencer, in the order of their raw devices. */
function virtualClients(): string[] {
  const clients = readFileSync('/proc/asound/seq/clients', 'utf8')
  return [...clients.matchAll(/^Client +(\d+) : "Virtual Raw MIDI/gm)].map(([, number]) => number)
}

test('what is written to one virtual MIDI port comes out of another one, byte by byte', async (t) => {
  const ports = readdirSync('/dev/snd').filter((name) => name.startsWith('midiC'))
  assert.equal(ports.length, 2)
  const [from, to] = virtualClients()
  const { status, stderr } = spawnSync(programPath('midi-cable'), [from, to], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  const [output, input] = ports.sort().map((name) => `/dev/snd/${name}`)
  const heard: Buffer[] = []
  const listener = spawn('cat', [input], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => listener.kill())
  listener.stdout.on('data', (bytes) => heard.push(bytes))
  // Note on, and controller 7, on channel 1.
  const said = Buffer.from('90407fb00764', 'hex')
  await until(() => isOpen(input), 'the listener')
  await writeFile(output, said)
  await until(() => Buffer.concat(heard).length >= said.length, 'the bytes')
  assert.deepEqual(Buffer.concat(heard), said)
})

/** Whether somebody has the raw device open. */
function isOpen(path: string): boolean {
  const [, card, device] = /midiC(\d+)D(\d+)/.exec(path) ?? []
  return /Input \d[\s\S]*Owner PID/.test(readFileSync(`/proc/asound/card${card}/midi${device}`, 'utf8'))
}
