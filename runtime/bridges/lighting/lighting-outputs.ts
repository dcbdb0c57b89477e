import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { BridgeContext, BundleItem, Update } from '../bridge.ts'
import type { Fade } from './fades.ts'
import { FrameClock } from './frame-clock.ts'
import type { Scene } from './look.ts'
import { type OutputSettings, OutputUniverse, type Pace } from './output-universe.ts'
import { type AddressForm, parseSlotAddress, SLOTS, type SlotAddress } from './slot-address.ts'
import { levelValue, pairOf, type Scale, slotOf, slotOfNumber } from './slot-value.ts'

const MAX_FADE_MS = 24 * 3600 * 1000

export interface LightingOutputsParts {
  readonly context: Pick<BridgeContext, 'namespace' | 'router' | 'clock' | 'counters' | 'problem'>
  readonly form: AddressForm
  readonly scale: Scale
  readonly scenes: readonly Scene[]
  readonly pace: Pace
  readonly outputs: readonly OutputSettings[]
  /** All 512 levels of a universe, valid during the call. */
  send(universe: number, levels: Uint8Array): void
  /** After the frames that go together. */
  onRound?(): void
  /** A channel has a value from an earlier time, be it of an output or of an input. */
  onKnown?(universe: number, channel: number): void
  /** An update that is no slot; true: it was for the bridge. */
  onOther?(rest: string, update: Update): boolean
}

/**
 * Values of the router on output universes: single slots, 16-bit pairs, whole universes and fades. Source: bridges.md §5.
 *
 * | address below the namespace | value |
 * |---|---|
 * | `{u}/{ch}`, `{u}/{ch}/16` | param or stream: a level |
 * | `{u}` | param or stream: bytes, or a list of levels in which null leaves a slot as it is |
 * | `{u}/{ch}/fade`, `{u}/{ch}/16/fade` | event `{to, ms}` |
 * | `{u}/fade` | event `{to: [levels] or {ch: level}, ms}` |
 */
export class LightingOutputs {
  private readonly parts: LightingOutputsParts
  private readonly frames: FrameClock
  private readonly byNumber = new Map<number, OutputUniverse>()
  private readonly unsubscribe: () => void

  constructor(parts: LightingOutputsParts) {
    this.parts = parts
    const { context, outputs, scenes, pace } = parts
    this.frames = new FrameClock(context.clock, parts.onRound)
    for (const settings of outputs) {
      const output = new OutputUniverse({
        settings,
        scenes,
        pace,
        time: context.clock,
        frames: this.frames,
        send: parts.send,
        onArrived: (one, fades) => this.tellArrived(one, fades),
      })
      this.byNumber.set(settings.universe, output)
    }
    this.unsubscribe = context.router.subscribe(`${context.namespace}/**`, (update) => this.receive(update))
  }

  find(universe: number): OutputUniverse | undefined {
    return this.byNumber.get(universe)
  }

  get all(): Iterable<OutputUniverse> {
    return this.byNumber.values()
  }

  /** No more frames from the clock; sends the looks for the end, unless this is just a break. */
  stop(isBreak = false): void {
    this.unsubscribe()
    this.frames.stop()
    for (const output of this.byNumber.values()) {
      const fades = output.endFades()
      if (fades.length > 0) this.tellArrived(output, fades)
      const look = isBreak ? null : output.stopLook()
      if (look !== null) this.parts.send(output.settings.universe, look)
    }
    this.parts.onRound?.()
  }

  private receive(update: Update): void {
    const { context, form } = this.parts
    const rest = update.address.slice(context.namespace.length + 1)
    const target = parseSlotAddress(rest, form)
    if (target === undefined) {
      if (this.parts.onOther?.(rest, update) || update.isInitial || !/^\d/.test(rest)) return
      this.refuse(
        'address',
        `${update.address} is no slot: channels are 1 to ${SLOTS}, universes ${form.first} to ${form.last}`,
      )
      return
    }
    const { universe, channel, isPair, isFade } = target
    if (update.isInitial && channel !== null && !isPair && !isFade) this.parts.onKnown?.(universe, channel)
    const output = this.byNumber.get(universe)
    if (output === undefined) {
      if (update.isInitial) return
      this.refuse('universe', `${update.address}: universe ${target.universe} is not among the outputs of this bridge`)
    } else if (target.isFade) {
      if (update.signal === 'event') this.fade(output, target, update)
    } else if (update.signal !== 'event' && update.signal !== 'timeline' && !isEmpty(update)) {
      if (!this.write(update.isInitial ? known(output, update) : output, target, update))
        this.refuse('value', `${update.address}: ${update.value.type} is no level`)
    }
  }

  /** False: the value is no level. */
  private write(output: Slots, { channel, isPair }: SlotAddress, update: Update): boolean {
    const { scale } = this.parts
    const { value } = update
    if (channel === null) {
      if (update.samples !== undefined) return this.writeNumbers(output, update.samples)
      return this.writeFrame(output, value)
    }
    const single = update.samples?.at(-1)
    const written: Value = single === undefined ? value : { type: 'f64', value: single }
    const level = isPair ? pairOf(written, scale) : slotOf(written, scale)
    if (level === undefined) return false
    if (!isPair) {
      output.set(channel - 1, level)
    } else {
      output.set(channel - 1, level === null ? null : level >> 8)
      output.set(channel, level === null ? null : level & 255)
    }
    return true
  }

  /** A shorter frame changes the first slots only. Null releases all. */
  private writeFrame(output: Slots, value: Value): boolean {
    if (value.type === 'null') {
      for (let i = 0; i < SLOTS; i++) output.set(i, null)
      return true
    }
    if (value.type === 'bytes') {
      if (value.value.length > SLOTS) return false
      for (let i = 0; i < value.value.length; i++) output.set(i, value.value[i])
      return true
    }
    const levels = this.levelsOf(value)
    if (levels === undefined) return false
    for (let i = 0; i < levels.length; i++) {
      const level = levels[i]
      if (level !== null) output.set(i, level)
    }
    return true
  }

  private writeNumbers(output: Slots, samples: readonly number[]): boolean {
    if (samples.length > SLOTS) return false
    for (let i = 0; i < samples.length; i++) output.set(i, slotOfNumber(samples[i], this.parts.scale))
    return true
  }

  /** Null: leave it as it is. */
  private levelsOf(value: Value): (number | null)[] | undefined {
    if (value.type === 'bytes') return value.value.length > SLOTS ? undefined : [...value.value]
    if (value.type !== 'array' || value.value.length > SLOTS) return undefined
    const levels: (number | null)[] = []
    for (const item of value.value) {
      const level = slotOf(item, this.parts.scale)
      if (level === undefined) return undefined
      levels.push(level)
    }
    return levels
  }

  private fade(output: OutputUniverse, { channel, isPair }: SlotAddress, { address, value }: Update): void {
    const members = value.type === 'map' ? new Map(value.value) : undefined
    const to = members?.get('to')
    const ms = members?.get('ms')
    const durationMs = ms !== undefined && 'value' in ms ? Number(ms.value) : 0
    if (to === undefined || !(durationMs >= 0 && durationMs <= MAX_FADE_MS)) {
      this.refuse('fade', `${address}: a fade is {to, ms} with 0 to ${MAX_FADE_MS} ms`)
      return
    }
    const isDone =
      channel === null
        ? this.fadeUniverse(output, to, durationMs)
        : this.fadeChannel(output, channel, isPair, to, durationMs)
    if (!isDone) this.refuse('fade', `${address}: that is nothing to fade to`)
  }

  private fadeChannel(output: OutputUniverse, channel: number, isPair: boolean, to: Value, ms: number): boolean {
    const level = isPair ? pairOf(to, this.parts.scale) : slotOf(to, this.parts.scale)
    if (level === undefined || level === null) return false
    output.fade(channel - 1, level, ms, { isPair })
    return true
  }

  private fadeUniverse(output: OutputUniverse, to: Value, ms: number): boolean {
    if (to.type === 'map') {
      const levels: [number, number][] = []
      for (const [key, item] of to.value) {
        const level = slotOf(item, this.parts.scale)
        const channel = /^[1-9]\d{0,2}$/.test(key) ? Number(key) : 0
        if (channel < 1 || channel > SLOTS || level === undefined || level === null) return false
        levels.push([channel, level])
      }
      for (const [channel, level] of levels) output.fade(channel - 1, level, ms)
      return true
    }
    const levels = this.levelsOf(to)
    if (levels === undefined) return false
    for (let i = 0; i < levels.length; i++) {
      const level = levels[i]
      if (level !== null) output.fade(i, level, ms, { isWhole: true })
    }
    return true
  }

  /** The router's params are what the fades have come to: who joins later, and a restart, find them so. */
  private tellArrived(output: OutputUniverse, fades: readonly Fade[]): void {
    const { namespace, router } = this.parts.context
    const base = `${namespace}/${output.settings.universe}`
    const items: BundleItem[] = []
    let length = 0
    for (const { index, isPair, isWhole, to } of fades) {
      if (isWhole) length = Math.max(length, index + 1)
      else
        items.push({
          address: `${base}/${index + 1}${isPair ? '/16' : ''}`,
          value: levelValue(to, isPair, this.parts.scale),
        })
    }
    if (length > 0) {
      items.push({ address: base, value: { type: 'bytes', value: output.ownLevels.slice(0, length) } })
    }
    router.bundle(items)
  }

  private refuse(code: string, message: string): void {
    this.parts.context.counters.outDropped++
    this.parts.context.problem(code, message)
  }
}

/** A gesture may end without a value, and a stream may have no samples: neither releases a slot. */
function isEmpty({ signal, value, samples }: Update): boolean {
  return samples === undefined ? signal === 'gesture' && value.type === 'null' : samples.length === 0
}

/** What levels are written to. `index`: 0…511; null: releases the slot. */
interface Slots {
  set(index: number, level: number | null): void
}

function known(output: OutputUniverse, { writtenUs = 0 }: Update): Slots {
  return { set: (index, level) => output.setKnown(index, level, writtenUs) }
}
