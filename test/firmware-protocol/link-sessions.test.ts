import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SerialReceiver } from '../../firmware-protocol/link/serial-frame.ts'
import { CDevice, type CSignal, Flag } from './c-device.ts'
import { wireOf } from './link-wire.ts'
import { fromHex, loadVectors, toHex, toValue, type VectorValue } from './vectors.ts'

interface Device {
  name: string
  uid: string
  bootNonce: number
  maxBaud: number
  firmware?: string
  hasClock?: boolean
  signals: {
    address: string
    type: number
    kind: 'param' | 'event' | 'stream' | 'gesture'
    publishes: boolean
    isWritable: boolean
    range?: [number, number]
    isLossy?: boolean
    safe?: number
  }[]
}

type Call = [verb: string, ...parts: unknown[]]

interface Step {
  /** Frames from the host: CTRL SEQ BODY. */
  host?: string[]
  /** Of these frames, when it is not the one of the last WELCOME. */
  session?: string
  /** What the program on the device calls. */
  call?: Call | Call[]
  result?: 'offline' | 'busy' | 'invalid'
  /** So much time passes. */
  ms: number
  /** What the device sends meanwhile; `..` stands for any byte. */
  device: string[]
  /** What the program is told meanwhile. */
  sees?: unknown[][]
}

const { devices, sessions } = loadVectors<{
  devices: Record<string, Device>
  sessions: { name: string; device: string; steps: Step[] }[]
}>('link-sessions.json')

const RESULTS = { offline: -1, busy: -2, invalid: -3 } as const
const STATES = ['announcing', 'syncing', 'running']
const REASONS = ['changed', 'initial', 'happened', 'fellBack']

describe('a device', () => {
  for (const { name, device, steps } of sessions) {
    it(name, async (t) => {
      const script = await Script.open(devices[device], t)
      if (script === undefined) return
      for (const [index, step] of steps.entries()) {
        const { sent, seen, results } = await script.play(step)
        const where = `step ${index}: ${JSON.stringify(step)}`
        assert.equal(sent.length, step.device.length, `${where}\nsent ${sent}`)
        for (const [i, frame] of step.device.entries()) {
          assert.match(sent[i], new RegExp(`^${frame}$`), `${where}\nsent ${sent}`)
        }
        if (step.sees !== undefined || seen.some(([kind]) => kind !== 'state')) assert.deepEqual(seen, step.sees, where)
        assert.deepEqual(results, step.result === undefined ? [] : [RESULTS[step.result]], where)
      }
    })
  }
})

/** The C device in the place of the device of a script. */
class Script {
  private readonly device: CDevice
  private session = 0

  private constructor(device: CDevice) {
    this.device = device
  }

  static async open(device: Device, t: Parameters<typeof CDevice.open>[1]): Promise<Script | undefined> {
    const { name, uid, bootNonce, maxBaud, firmware, signals } = device
    const opened = await CDevice.open(
      {
        macros: { TIME: device.hasClock ? 1 : 0 },
        signals: signals.map(signalOf),
        name,
        uid,
        nonce: bootNonce,
        maxBaud,
        firmware,
      },
      t,
    )
    return opened && new Script(opened)
  }

  async play({ host = [], session, call, ms }: Step) {
    const lines: string[] = []
    for (const frame of host) {
      if (frame.startsWith('83')) this.session = Number.parseInt(frame.slice(8, 12), 16)
      const number = session === undefined ? this.session : Number.parseInt(session, 16)
      lines.push(...(await this.device.command(`rx ${toHex(wireOf(fromHex(frame), number))}`)))
    }
    const calls = call === undefined ? [] : Array.isArray(call[0]) ? (call as Call[]) : [call as Call]
    for (const one of calls) for (const text of this.commands(one)) lines.push(...(await this.device.command(text)))
    if (ms > 0) lines.push(...(await this.device.command(`run ${ms * 1000}`)))
    return this.told(lines)
  }

  private commands([verb, ...parts]: Call): string[] {
    switch (verb) {
      case 'set':
      case 'emit':
      case 'gesture': {
        const last = parts.at(-1)
        const hasValue = typeof last === 'object'
        const words = hasValue ? [...parts.slice(0, -1), this.valueText(last as VectorValue)] : [...parts, 0]
        return [`${verb} ${words.join(' ')}`]
      }
      case 'stream': {
        const [signal, interval, samples] = parts as [number, number, VectorValue[]]
        return [`stream ${signal} ${interval} ${samples.length} ${samples.map((v) => this.valueText(v)).join(' ')}`]
      }
      case 'bundle': {
        const [atUs, values] = parts as [number, [number, VectorValue][]]
        const added = values.map(([signal, value]) => `add ${signal} ${this.valueText(value)}`)
        return [`begin ${atUs}`, ...added, 'send']
      }
      case 'log':
        return [`log ${parts[0]} ${toHex(new TextEncoder().encode(parts[1] as string))}`]
      case 'subscribe':
        return [`subscribe ${parts[0]} ${parts[1] ?? '-'} ${parts[2]}`]
      default:
        return [[verb, ...parts].join(' ')]
    }
  }

  /** As the program reads it; the type of the signal decides. */
  private valueText(vector: VectorValue): string {
    const value = toValue(vector)
    if (value.type === 'string') return toHex(new TextEncoder().encode(value.value)) || '-'
    if (value.type !== 'f32') return 'value' in value ? String(value.value) : '0'
    const bytes = new DataView(new ArrayBuffer(4))
    bytes.setFloat32(0, value.value)
    return bytes.getUint32(0).toString(16).padStart(8, '0')
  }

  private told(lines: readonly string[]) {
    const sent: string[] = []
    const seen: unknown[][] = []
    const results: number[] = []
    const receiver = new SerialReceiver(1024, {
      onFrame: (bytes, start, end) => sent.push(toHex(bytes.subarray(start, end))),
      onText: (text) => sent.push(`text ${text}`),
    })
    receiver.session = this.session
    for (const line of lines) {
      const [kind, ...words] = line.split(' ')
      if (kind === 'tx') receiver.receive(fromHex(words[1]))
      else if (kind === 'result') results.push(Number(words[0]))
      else if (kind === 'state') seen.push(['state', STATES[Number(words[0])]])
      else if (kind === 'match') seen.push(['match', Number(words[0]), Buffer.from(words[1], 'hex').toString()])
      else if (kind === 'input') seen.push(this.input(words))
      else seen.push([kind, ...words.map(Number)])
    }
    const { crcErrors, malformed, oversize } = receiver.counters
    assert.equal(crcErrors + malformed + oversize, 0, 'the device sends what is no frame')
    return { sent, seen, results }
  }

  private input([signal, type, why, text, atUs]: string[]): unknown[] {
    return [
      'input',
      Number(signal),
      readValue(Number(type), text),
      REASONS[Number(why)],
      ...(atUs === '0' ? [] : [Number(atUs)]),
    ]
  }
}

function signalOf({
  address,
  type,
  kind,
  publishes,
  isWritable,
  range,
  isLossy,
  safe,
}: Device['signals'][number]): CSignal {
  let flags = kind === 'param' ? 0 : Flag[kind]
  if (publishes) flags |= Flag.out
  if (isWritable) flags |= Flag.in
  if (range !== undefined) flags |= Flag.range
  if (isLossy) flags |= Flag.lossy
  if (safe !== undefined) flags |= Flag.safe
  return { address, type, flags, range, safe }
}

function readValue(type: number, text: string): VectorValue {
  const bytes = fromHex(text === '-' ? '' : text)
  if (type === 0) return { t: 'null' }
  if (type === 1) return { t: 'bool', v: text === '1' }
  if (type === 8) return { t: 'string', v: new TextDecoder().decode(bytes) }
  if (type === 6 || type >= 12) return { t: 'f32', v: new DataView(bytes.buffer).getFloat32(0) }
  return { t: (['i8', 'i16', 'i32'] as const)[type - 2], v: Number(text) }
}
