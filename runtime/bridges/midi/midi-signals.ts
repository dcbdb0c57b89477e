import type { SignalDefinition } from '../../../firmware-protocol/wire/message.ts'
import type { MidiOptions } from './midi-kind.ts'

type Access = 'r' | 'w' | 'rw'

/** What there is below a device, for clients that look. Source: bridges.md §4.4. */
export function midiSignals(base: string, access: Access, options: MidiOptions): readonly SignalDefinition[] {
  const { normalize, nrpn7, noteState, sysex, mpe } = options
  const param = (address: string, unit: string, range: [number, number], isShare = true): SignalDefinition => ({
    address: `${base}/${address}`,
    type: 'param',
    datatype: normalize && isShare ? 'f64' : 'i64',
    access,
    meta: normalize && isShare ? { unit: 'normalized', range: [0, 1] } : { unit, range },
  })
  const event = (address: string, datatype: string): SignalDefinition => ({
    address: `${base}/${address}`,
    type: 'event',
    datatype,
    access,
  })
  const midi7: [number, number] = [0, 127]
  const midi14: [number, number] = [0, 16_383]
  const parameter: [string, [number, number]] = nrpn7 ? ['midi7', midi7] : ['midi14', midi14]
  const zone = (name: string): SignalDefinition => ({
    address: `${base}/mpe/${name}`,
    type: 'gesture',
    datatype: 'map',
    access: 'r',
  })
  return [
    event('ch/*/note', 'map'),
    ...(noteState ? [param('ch/*/notes/*', 'midi7', midi7, false)] : []),
    param('ch/*/cc/*', 'midi7', midi7),
    ...(options.cc14.length > 0 ? [param('ch/*/cc14/*', 'midi14', midi14)] : []),
    ...(options.nrpn ? [param('ch/*/nrpn/*', ...parameter), param('ch/*/rpn/*', ...parameter)] : []),
    param('ch/*/bend', 'midi14', [-8192, 8191]),
    param('ch/*/pressure', 'midi7', midi7),
    param('ch/*/poly/*', 'midi7', midi7),
    event('ch/*/program', 'i64'),
    event('ch/*/mode', 'string'),
    ...(mpe ? [zone('lower'), zone('upper')] : []),
    {
      address: `${base}/tempo`,
      type: 'param',
      datatype: 'f64',
      access: options.generateClock ? 'rw' : 'r',
      meta: { unit: '1/min' },
    },
    event('clock', 'null'),
    event('beat', 'i64'),
    event('transport', 'string'),
    param('songpos', '1', midi14, false),
    event('song', 'i64'),
    event('tune', 'null'),
    { address: `${base}/mtc`, type: 'stream', datatype: 'map', access },
    ...(sysex ? [event('sysex', 'bytes')] : []),
    event('reset', 'null'),
  ]
}
