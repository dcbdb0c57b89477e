import { boolParam, defineDevice, type SignalSpec } from '../device.ts'
import type { Edge } from '../io/lines.ts'
import { flag } from '../options.ts'
import { edgeTimeUs, inputOptions, openInput } from './input-options.ts'

export const edgeSignal: SignalSpec = {
  type: 'event',
  datatype: 'map',
  access: 'r',
  description: 'Each edge: rising or falling, with its time t in µs and its number seq',
}

/** A contact that stays: toggle switch, reed contact, limit switch, level switch. Source: bridges.md §20.3. */
export const contactSwitch = defineDevice({
  kind: 'switch',
  description: 'A contact that stays open or closed: toggle, reed, limit or level switch.',
  namespace: 'gpio',
  options: { ...inputOptions(5), edges: flag('Publish every edge as an event, too.', false) },
  signals: ({ edges }) => ({
    '': boolParam('r', 'true = on'),
    ...(edges && { edge: edgeSignal }),
  }),
  async open(context) {
    const { options, set, emit, clock } = context
    let last = 0
    const edgePayload = (edge: Edge) => ({
      edge: edge.isOn ? 'rising' : 'falling',
      t: edgeTimeUs(clock, edge),
      seq: edge.sequence,
    })
    const line = await openInput(context, (edge) => {
      if (options.edges && edge.sequence !== last) emit('edge', edgePayload(edge))
      last = edge.sequence
      set('', edge.isOn)
    })
    set('', line.isOn)
    return { close: () => line.close() }
  },
})
