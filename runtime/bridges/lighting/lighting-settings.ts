import { parseChannels } from './channel-ranges.ts'
import type { InputSettings } from './input-universe.ts'
import { type Look, missingScene, type Scene } from './look.ts'
import type { OutputSettings } from './output-universe.ts'
import type { Merge } from './universe.ts'

/** Of `lighting-fields.ts`, as the configuration hands them over: looks and channels are texts that were checked. */
export interface OutputOptions {
  readonly priority: number
  readonly merge: Merge
  readonly onStart: string
  readonly onLoss: string
  readonly lossHold: number
  readonly onStop: string
}

export interface InputOptions {
  readonly channels: string
  readonly mode: InputSettings['mode']
  readonly initial: InputSettings['initial']
  readonly merge: Merge
  readonly onLoss: string
  readonly lossHold: number
}

export function outputSettings(universe: number, options: OutputOptions): OutputSettings {
  const { priority, merge, onStart, onLoss, lossHold, onStop } = options
  return {
    universe,
    priority,
    merge,
    onStart: onStart as 'lazy' | Look,
    onLoss: onLoss as Look,
    lossHold,
    onStop: onStop as Look,
  }
}

export function inputSettings(universe: number, options: InputOptions): InputSettings {
  const { channels, mode, initial, merge, onLoss, lossHold } = options
  return {
    universe,
    channels: parseChannels(channels) ?? new Set(),
    mode,
    initial,
    merge,
    onLoss: onLoss as Look,
    lossHold,
  }
}

interface Universes {
  readonly inputs: readonly (InputOptions & { readonly universe: number })[]
  readonly outputs: readonly (OutputOptions & { readonly universe: number; readonly relay?: number })[]
  readonly scenes: readonly Scene[]
}

/** What does not fit together, for the operator. */
export function universesProblem({ inputs, outputs, scenes }: Universes): string | undefined {
  const stray = outputs.find(({ relay }) => relay !== undefined && !inputs.some(({ universe }) => universe === relay))
  if (stray !== undefined) return `relay: universe ${stray.relay} is not among the inputs`
  for (const [name, list] of [
    ['inputs', inputs],
    ['outputs', outputs],
  ] as const) {
    const numbers = list.map(({ universe }) => universe)
    const twice = numbers.find((number, at) => numbers.indexOf(number) !== at)
    if (twice !== undefined) return `universe ${twice} is twice among the ${name}`
  }
  // What came in would be what is to go out after the next start, for both have the same addresses.
  const both = inputs.find(({ universe }) => outputs.some((output) => output.universe === universe))
  if (both !== undefined) {
    const { universe } = both
    return `universe ${universe} is among the inputs and the outputs: put it out as another one (relay: ${universe})`
  }
  for (const { universe, onLoss } of inputs) {
    const missing = missingScene([onLoss], scenes, universe)
    if (missing !== undefined) return missing
  }
  for (const { universe, onStart, onLoss, onStop } of outputs) {
    const missing = missingScene([onStart, onLoss, onStop], scenes, universe)
    if (missing !== undefined) return missing
  }
  return undefined
}
