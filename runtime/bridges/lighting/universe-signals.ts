import type { SignalDefinition } from '../../../firmware-protocol/wire/message.ts'

/** What a universe is announced as. Source: bridges.md §5.6. */
export function universeSignals(base: string, isOutput: boolean, isNormalized: boolean): SignalDefinition[] {
  const access = isOutput ? 'rw' : 'r'
  const meta = isNormalized
    ? { unit: 'normalized', range: [0, 1] as [number, number], default: { type: 'f64', value: 0 } as const }
    : { unit: 'dmx', range: [0, 255] as [number, number], default: { type: 'i64', value: 0 } as const }
  return [
    { address: `${base}/*`, type: 'param', datatype: isNormalized ? 'f64' : 'i64', access, meta },
    { address: base, type: 'stream', datatype: 'bytes', access },
  ]
}
