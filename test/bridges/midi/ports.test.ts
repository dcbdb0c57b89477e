import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadAlsa } from '../../../runtime/bridges/midi/alsa-library.ts'
import {
  alsaPortName,
  alsaPortsLike,
  libraryPortName,
  listAlsaPorts,
  readAlsaPorts,
} from '../../../runtime/bridges/midi/alsa-ports.ts'
import { levelOf, placeOf } from '../../../runtime/bridges/midi/port-choice.ts'
import { parseConfig } from '../../../runtime/config/load.ts'

/** As kernels print it, 6.1 the first clients and 6.6 the last ones. */
const CLIENTS = `Client info
  cur  clients : 6
  peak clients : 7
  max  clients : 192

Client   0 : "System" [Kernel]
  Port   0 : "Timer" (Rwe-)
  Port   1 : "Announce" (R-e-)
    Connecting To: 15:0
Client  14 : "Midi Through" [Kernel]
  Port   0 : "Midi Through Port-0" (RWe-)
Client  24 : "Launchpad Mini" [Kernel]
  Port   0 : "Launchpad Mini MIDI 1" (RWeX)
Client  28 : "Keystep" [Kernel Legacy]
  Port   0 : "Keystep "37" MIDI 1" (R-e-) [In]
  Port   1 : "Display" (-We-) [Out]
  Port   2 : "Closed" (rwe-) [In/Out]
Client 128 : "VMPK Output" [User Legacy]
  Port   0 : "out" (R---) [In]
  Output pool :
    Pool size          : 500
    Cells in use       : 0
Client 129 : "RtMidi Input Client" [User]
  Port   0 : "RtMidi Input" (-We-)
`

test('ports are read from the list of the kernel', () => {
  const ports = readAlsaPorts(CLIENTS)
  assert.deepEqual(
    ports.map((port) => [alsaPortName(port), libraryPortName(port), port.isSource, port.isSink]),
    [
      ['Midi Through Port-0', 'Midi Through:Midi Through Port-0 14:0', true, true],
      ['Launchpad Mini MIDI 1', 'Launchpad Mini:Launchpad Mini MIDI 1 24:0', true, true],
      ['Keystep "37" MIDI 1', 'Keystep:Keystep "37" MIDI 1 28:0', true, false],
      ['Display', 'Keystep:Display 28:1', false, true],
      ['VMPK Output out', 'VMPK Output:out 128:0', true, false],
      ['RtMidi Input Client RtMidi Input', 'RtMidi Input Client:RtMidi Input 129:0', false, true],
    ],
  )
})

test('all ports are those of gear and programs; a text chooses', () => {
  const ports = readAlsaPorts(CLIENTS)
  const names = (text: string) => alsaPortsLike(text, ports).map(alsaPortName)
  assert.deepEqual(names(''), ['Launchpad Mini MIDI 1', 'Keystep "37" MIDI 1', 'Display', 'VMPK Output out'])
  assert.deepEqual(names('launchpad'), ['Launchpad Mini MIDI 1'])
  assert.deepEqual(names('Through'), ['Midi Through Port-0'])
  assert.deepEqual(names('nothing'), [])
})

test('names of ports become levels of addresses, each its own', () => {
  assert.equal(levelOf('Launchpad Mini MIDI 1', new Set()), 'launchpad_mini_midi_1')
  assert.equal(levelOf('Größe/#1 +', new Set()), 'gre1_')
  assert.equal(levelOf('/dev/ttyAMA0', new Set()), 'ttyama0')
  assert.equal(levelOf('usb:0582:0012', new Set()), 'usb05820012')
  assert.equal(levelOf('##', new Set()), 'port')
  assert.equal(levelOf('pad', new Set(['pad', 'pad_2'])), 'pad_3')
  assert.deepEqual(
    ['/dev/ttyAMA0', 'usb:1:2', 'virtual:x', 'Launchpad', ''].map((port) => placeOf({ port })),
    ['serial', 'serial', 'virtual', 'alsa', 'alsa'],
  )
})

test('a machine without ALSA has no ports, and says what to do', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'alsa-'))
  t.after(() => rmSync(root, { recursive: true }))
  assert.equal(await listAlsaPorts(root), undefined)
  await assert.rejects(loadAlsa(root), /no ALSA sequencer \(\/dev\/snd\/seq\): load the module snd-seq/)
  mkdirSync(join(root, 'proc/asound/seq'), { recursive: true })
  writeFileSync(join(root, 'proc/asound/seq/clients'), CLIENTS)
  assert.equal((await listAlsaPorts(root))?.length, 6)
})

test('what cannot be is refused with the configuration', async () => {
  const problems = async (settings: string) =>
    parseConfig(`bridges:\n  - {id: midi, kind: midi, ${settings}}\n`, 'test.yaml').then(
      () => 'nothing',
      (error: Error) => error.message,
    )
  assert.equal(await problems('ports: [{port: pad}, {port: virtual:clasp, name: own}], cc14: [1, 7]'), 'nothing')
  assert.match(await problems('ports: [{port: a, name: x}, {port: b, name: x}]'), /two ports are called x/)
  assert.match(await problems('ports: [{port: "virtual:"}]'), /a virtual port has a name/)
  assert.match(await problems('ports: [{port: /dev/snd/midiC1D0}]'), /name the ALSA port/)
  assert.match(await problems('ports: [{port: "usb:zz"}]'), /"usb:zz" is no port/)
  assert.match(await problems('mpe: true, mpeLower: 8, mpeUpper: 8'), /14 member channels/)
  assert.match(await problems('cc14: [32]'), /from 0 to 31/)
})
