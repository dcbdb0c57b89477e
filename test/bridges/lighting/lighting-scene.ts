import { setImmediate as turn } from 'node:timers/promises'
import type { Signal } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { BridgeSession, BundleItem, Update } from '../../../runtime/bridges/bridge.ts'
import { FrameClock } from '../../../runtime/bridges/lighting/frame-clock.ts'
import { type InputSettings, InputUniverse } from '../../../runtime/bridges/lighting/input-universe.ts'
import { LightingOutputs } from '../../../runtime/bridges/lighting/lighting-outputs.ts'
import type { Scene } from '../../../runtime/bridges/lighting/look.ts'
import type { OutputSettings } from '../../../runtime/bridges/lighting/output-universe.ts'
import type { Scale } from '../../../runtime/bridges/lighting/slot-value.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'

export const int = (value: number): Value => ({ type: 'i64', value })
export const float = (value: number): Value => ({ type: 'f64', value })
export const map = (members: Record<string, Value>): Value => ({ type: 'map', value: Object.entries(members) })
export const array = (...value: Value[]): Value => ({ type: 'array', value })

/** A router's side that writes down what it is told. */
export class Told implements BridgeSession {
  readonly bundles: BundleItem[][] = []
  readonly streams: Value[] = []
  private onUpdate: (update: Update) => void = () => {}

  set(): void {}
  announce(): void {}
  send(): void {}

  publish(_address: string, _signal: Exclude<Signal, 'param'>, value: Value): void {
    this.streams.push(value)
  }

  bundle(items: readonly BundleItem[]): void {
    this.bundles.push([...items])
  }

  subscribe(_pattern: string, onUpdate: (update: Update) => void): () => void {
    this.onUpdate = onUpdate
    return () => {
      this.onUpdate = () => {}
    }
  }

  update(address: string, value: Value, signal: Signal = 'param', more: Partial<Update> = {}): void {
    this.onUpdate({ address, value, signal, isInitial: false, ...more })
  }
}

export interface Sent {
  at: number
  universe: number
  levels: number[]
}

/** Outputs on a clock that stands still; `frames` are what they have sent. */
export function outputScene(
  settings: Partial<OutputSettings> = {},
  scenes: Scene[] = [],
  repeats = 0,
  scale: Scale = 'auto',
) {
  const clock = new SteppedClock()
  const router = new Told()
  const frames: Sent[] = []
  const problems: string[] = []
  const counters = { in: 0, out: 0, inDropped: 0, outDropped: 0, errors: 0 }
  const common = {
    priority: 100,
    merge: 'htp',
    onStart: 'lazy',
    onLoss: 'hold',
    lossHold: 0,
    onStop: 'hold',
    ...settings,
  } as const
  const outputs = new LightingOutputs({
    context: { namespace: '/x/y', router, clock, counters, problem: (code) => problems.push(code) },
    form: { first: 0, last: 32_767, isSplit: true },
    scale,
    scenes,
    pace: { periodMs: 25, keepAliveMs: 900, repeats },
    outputs: [
      { ...common, universe: 0 },
      { ...common, universe: 17 },
    ],
    send: (universe, levels) => frames.push({ at: clock.now(), universe, levels: [...levels.subarray(0, 4)] }),
  })
  const pass = async (ms: number) => {
    await turn()
    clock.advance(ms)
    await turn()
  }
  return { clock, router, frames, problems, counters, outputs, pass }
}

export function inputScene(settings: Partial<InputSettings> = {}, lossMs = 3000, timeoutMs = 10_000) {
  const clock = new SteppedClock()
  const router = new Told()
  const frames = new FrameClock(clock)
  const changes: boolean[] = []
  const input = new InputUniverse({
    settings: {
      universe: 1,
      channels: new Set([1, 2, 3, 4]),
      mode: 'channel',
      initial: 'changed',
      merge: 'htp',
      onLoss: 'hold',
      lossHold: 0,
      ...settings,
    },
    scenes: [{ scene: 1, levels: '1@10' }],
    periodMs: 100,
    lossMs,
    maxSources: 2,
    isNormalized: false,
    namespace: '/in',
    router,
    time: clock,
    frames,
    onSources: (one) => changes.push(one.hasSignal),
  })
  const source = (key: string) => {
    const opened = input.universe.open(key, { priority: 100, timeoutMs }, clock.now())
    if (opened === undefined) throw new Error('there is no room')
    return opened
  }
  const pass = async (ms: number) => {
    await turn()
    clock.advance(ms)
    await turn()
  }
  const told = () =>
    router.bundles.map((items) =>
      Object.fromEntries(items.map(({ address, value }) => [address, 'value' in value ? Number(value.value) : null])),
    )
  return { clock, router, input, source, pass, told, changes }
}
