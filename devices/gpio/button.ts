import { boolParam, defineDevice } from '../device.ts'
import { duration } from '../options.ts'
import { ButtonMachine } from './button-machine.ts'
import { edgeTimeUs, inputOptions, openInput } from './input-options.ts'

/** A push button: a state, and events of what was done with it. Source: bridges.md §20.3. */
export const button = defineDevice({
  kind: 'button',
  description: 'A push button, with press, release, click, double, long and repeat.',
  namespace: 'gpio',
  options: {
    ...inputOptions(5),
    long: duration('Held for so long is a long press.', 500, { minMs: 50, maxMs: 60_000 }),
    repeat: duration('Between repeats after a long press; 0s = none.', 0, { minMs: 0, maxMs: 60_000 }),
    double: duration('Two clicks within are a double click; 0s = never.', 0, { minMs: 0, maxMs: 5000 }),
  },
  signals: () => ({
    '': boolParam('r', 'true = pressed'),
    event: {
      type: 'event',
      datatype: 'map',
      access: 'r',
      description: 'type: press, release, click, double, long or repeat; count, held_ms, t in µs',
    },
  }),
  async open(context) {
    const { options, set, emit, clock } = context
    let atUs = 0
    const machine = new ButtonMachine(
      { longMs: options.long, repeatMs: options.repeat, doubleMs: options.double },
      clock,
      (type, count, held_ms) => emit('event', { type, count, held_ms, t: atUs || clock.wallUs() }),
    )
    const line = await openInput(context, (edge) => {
      set('', edge.isOn)
      atUs = edgeTimeUs(clock, edge)
      machine.change(edge.isOn, edge.atMs)
      // What follows by itself has the time at which it does.
      atUs = 0
    })
    // One that is held while the router starts was not pressed now.
    set('', line.isOn)
    return {
      close() {
        machine.stop()
        return line.close()
      },
    }
  },
})
