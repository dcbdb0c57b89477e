import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Line } from '../../line/line.ts'
import { RawEnd } from '../../line/raw-end.ts'
import { until } from '../../until.ts'
import { BridgeScene, type BridgeSceneOptions, type Heard } from '../bridge-scene.ts'

/** A MIDI bridge at one end of a serial line; this test is the gear at the other end. */
export class MidiScene {
  readonly scene: BridgeScene
  readonly line: Line
  readonly gear: RawEnd

  private constructor(scene: BridgeScene, line: Line, gear: RawEnd) {
    this.scene = scene
    this.line = line
    this.gear = gear
  }

  /** `settings`: more keys of the bridge, as YAML; `port`: more keys of its port. The device is called `test`. */
  static async start(
    t: TestContext,
    settings = '',
    port = 'rate: 1000000',
    options: BridgeSceneOptions = {},
  ): Promise<MidiScene> {
    const folder = mkdtempSync(join(tmpdir(), 'midi-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const line = await Line.open({ a: join(folder, 'a'), b: join(folder, 'b') }, t)
    const gear = new RawEnd(line.b, t)
    const own = `- id: midi\n  kind: midi\n  ports: [{port: ${line.a}, name: test, ${port}}]\n`
    const scene = await BridgeScene.start(t, own + settings.replace(/^(?=.)/gm, '  '), options)
    await until(() => scene.report('midi').peers === 1, 'the port to open')
    return new MidiScene(scene, line, gear)
  }

  /** Hexadecimal; blanks do not matter. */
  say(bytes: string): Promise<void> {
    return this.gear.write(Buffer.from(bytes.replaceAll(' ', ''), 'hex'))
  }

  /** What the client heard below the device, in words: `ch/0/cc/7 = 64`. */
  get told(): string[] {
    return this.scene.heard.filter(({ address }) => address.startsWith('/midi/test/')).map(describe)
  }

  async untilTold(...texts: string[]): Promise<void> {
    const wait = until(() => texts.every((text) => this.told.includes(text)), texts.join(', '))
    await this.explained(wait, () => this.told.join(', '))
  }

  /** The gear has received so many bytes, and they are these. */
  async untilReceived(bytes: string): Promise<void> {
    const wanted = bytes.replaceAll(' ', '')
    const wait = until(() => this.received.length >= wanted.length, wanted)
    await this.explained(wait, () => this.received)
    assert.equal(this.received, wanted)
  }

  private async explained(wait: Promise<void>, what: () => string): Promise<void> {
    await wait.catch((error: Error) => {
      throw new Error(`${error.message}, but ${what()}`)
    })
  }

  get received(): string {
    return this.gear.received.toString('hex')
  }
}

function describe({ signal, address, value, phase }: Heard): string {
  const name = address.slice('/midi/test/'.length)
  const text = JSON.stringify(plain(value))
  if (signal === 'param') return `${name} = ${text}`
  return signal === 'gesture' ? `${phase} ${name} ${text}` : `${signal} ${name} ${text}`
}

function plain(value: Heard['value']): unknown {
  if (value.type === 'null') return null
  if (value.type === 'map') return Object.fromEntries(value.value.map(([key, member]) => [key, plain(member)]))
  if (value.type === 'bytes') return Buffer.from(value.value).toString('hex')
  return value.type === 'array' ? value.value.map(plain) : value.value
}
