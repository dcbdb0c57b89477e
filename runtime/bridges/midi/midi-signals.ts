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
  // The default channel of addressStyle: spec has no level of its own.
  const channels = options.addressStyle === 'spec' ? ['ch/*/', ''] : ['ch/*/']
  const ofChannels = channels.flatMap((channel) => [
    event(`${channel}note`, 'map'),
    ...(noteState ? [param(`${channel}notes/*`, 'midi7', midi7, false)] : []),
    param(`${channel}cc/*`, 'midi7', midi7),
    ...(options.cc14.length > 0 ? [param(`${channel}cc14/*`, 'midi14', midi14)] : []),
    ...(options.nrpn ? [param(`${channel}nrpn/*`, ...parameter), param(`${channel}rpn/*`, ...parameter)] : []),
    param(`${channel}bend`, 'midi14', [-8192, 8191]),
    param(`${channel}pressure`, 'midi7', midi7),
    param(`${channel}poly/*`, 'midi7', midi7),
    event(`${channel}program`, 'i64'),
    event(`${channel}mode`, 'string'),
  ])
  return [
    ...ofChannels,
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
