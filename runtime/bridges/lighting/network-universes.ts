import type { BridgeContext, Update } from '../bridge.ts'
import { FrameClock } from './frame-clock.ts'
import { type InputParts, InputUniverse } from './input-universe.ts'
import { LightingOutputs } from './lighting-outputs.ts'
import { type InputOptions, inputSettings, type OutputOptions, outputSettings } from './lighting-settings.ts'
import type { Scene } from './look.ts'
import type { OutputUniverse } from './output-universe.ts'
import type { AddressForm } from './slot-address.ts'
import type { Scale } from './slot-value.ts'
import { universeSignals } from './universe-signals.ts'

/** What the options of bridges on a network have in common. */
export interface NetworkOptions {
  readonly inputs: readonly (InputOptions & { readonly universe: number })[]
  readonly outputs: readonly (OutputOptions & { readonly universe: number; readonly relay?: number })[]
  readonly scenes: readonly Scene[]
  readonly scale: Scale
  readonly normalize: boolean
  /** Hz. */
  readonly inRate: number
  readonly rate: number
  /** Ms. */
  readonly keepAlive: number
}

export interface NetworkUniversesParts {
  readonly context: BridgeContext<NetworkOptions>
  readonly form: AddressForm
  readonly maxSources: number
  /** Without a frame for so long an input is lost, ms. */
  readonly lossMs: number
  /** Unchanged frames after a change. */
  readonly repeats: number
  /** Sources of an input have gone or come. */
  onSources(input: InputUniverse): void
  /** All 512 levels of an output, valid during the call. */
  send(universe: number, levels: Uint8Array): void
  /** After the frames that go together. */
  onRound(): void
  /** An update that is no slot; true: it was for the bridge. */
  onOther?(rest: string, update: Update): boolean
}

/** The universes of a bridge on a network: those that come in, those that go out, and what is relayed between them. */
export class NetworkUniverses {
  readonly inputs = new Map<number, InputUniverse>()
  private readonly parts: NetworkUniversesParts
  private readonly frames: FrameClock
  private outputs: LightingOutputs | null = null

  constructor(parts: NetworkUniversesParts) {
    this.parts = parts
    this.frames = new FrameClock(parts.context.clock)
    for (const entry of parts.context.options.inputs) {
      const input: InputUniverse = this.openInput(entry, parts.context.namespace, {
        onSources: () => this.onSources(input),
        onLevels: (levels, priority) => this.relay(entry.universe, levels, priority),
      })
      this.inputs.set(entry.universe, input)
    }
  }

  /** Announces all universes, and sends what the router has for those that go out; called again: once more. */
  open(): void {
    if (this.outputs !== null) {
      for (const output of this.outputs.all) output.refresh()
      return
    }
    const { context, form, repeats, send, onRound, onOther } = this.parts
    const { options } = context
    this.outputs = new LightingOutputs({
      context,
      form,
      scale: options.scale,
      scenes: options.scenes,
      pace: { periodMs: 1000 / options.rate, keepAliveMs: options.keepAlive, repeats },
      outputs: options.outputs.map((entry) => outputSettings(entry.universe, entry)),
      send,
      onRound,
      onKnown: (universe, channel) => this.inputs.get(universe)?.known(channel),
      onOther,
    })
    this.announce()
  }

  /** An input that nobody relays, such as one for previews. */
  openInput(
    entry: NetworkOptions['inputs'][number],
    namespace: string,
    events: Pick<InputParts, 'onSources' | 'onLevels'> = {},
  ): InputUniverse {
    const { context, maxSources, lossMs } = this.parts
    const { options, router, clock } = context
    return new InputUniverse({
      settings: inputSettings(entry.universe, entry),
      scenes: options.scenes,
      periodMs: 1000 / options.inRate,
      lossMs,
      maxSources,
      isNormalized: options.normalize,
      namespace,
      router,
      time: clock,
      frames: this.frames,
      ...events,
    })
  }

  output(universe: number): OutputUniverse | undefined {
    return this.outputs?.find(universe)
  }

  /** `isBreak`: it is about to be opened again, and no looks for the end are sent. */
  stop(isBreak: boolean): void {
    this.frames.stop()
    this.outputs?.stop(isBreak)
  }

  private announce(): void {
    const { namespace, router, options } = this.parts.context
    router.announce(namespace, [
      ...options.outputs.flatMap(({ universe }) => universeSignals(`${namespace}/${universe}`, true, false)),
      ...options.inputs.flatMap(({ universe }) =>
        universeSignals(`${namespace}/${universe}`, false, options.normalize),
      ),
    ])
  }

  private onSources(input: InputUniverse): void {
    const { universe } = input.settings
    if (!input.hasSignal) {
      this.parts.context.problem('source_lost', `universe ${universe} has no source any more: ${input.onLoss}`)
    }
    this.parts.onSources(input)
  }

  private relay(universe: number, levels: Uint8Array | null, priority: number): void {
    for (const { universe: target, relay } of this.parts.context.options.outputs) {
      if (relay === universe) this.output(target)?.relay(levels, priority)
    }
  }
}
