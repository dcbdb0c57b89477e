import { type AnyDeviceKind, boolParam, type SignalSpec } from '../../devices/device.ts'
import { type DeviceEntry, OWN_SIGNAL } from '../../devices/device-entry.ts'

/**
 * What clients play of a device without hardware, by its name below `…/simulated/`: what the kind adds, its lines, by the
 * name of the option, and its readings, where these are made up.
 */
export function simulatedInputs(
  { options, sampleMs, isOwnTwin, simulatedInputs: added }: AnyDeviceKind,
  entry: DeviceEntry,
  specs: Readonly<Record<string, SignalSpec>>,
): ReadonlyMap<string, SignalSpec> {
  const inputs = new Map<string, SignalSpec>()
  const add = (name: string, spec: SignalSpec) => inputs.set(name, { ...spec, access: 'rw' })
  for (const [name, spec] of Object.entries(added?.(entry.options) ?? {})) add(name, spec)
  for (const [name, { type }] of Object.entries(options)) {
    if (type === 'line') add(name, boolParam('rw', `The simulated line ${name}: true = on, whatever activeLow says`))
  }
  if (sampleMs === undefined || isOwnTwin) return inputs
  for (const [key, spec] of Object.entries(specs)) {
    if (spec.type === 'param' && spec.access === 'r') add(key === '' ? OWN_SIGNAL : key, spec)
  }
  return inputs
}
