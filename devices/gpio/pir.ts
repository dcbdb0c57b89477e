import { boolParam, defineDevice } from '../device.ts'
import { duration } from '../options.ts'
import { inputOptions, openInput } from './input-options.ts'

/**
 * A passive infrared motion detector such as the HC-SR501: its output is high while it sees somebody move, and drops now
 * and then although somebody is there. Source: bridges.md §20.3.
 */
export const pir = defineDevice({
  kind: 'pir',
  description: 'A motion detector with one output.',
  namespace: 'gpio',
  options: {
    ...inputOptions(20),
    hold: duration('How long it stays on after the last movement.', 5000, { minMs: 0, maxMs: 3_600_000 }),
  },
  signals: () => ({ '': boolParam('r', 'true = somebody moves') }),
  async open(context) {
    const { options, set, clock } = context
    let timer: { cancel(): void } | null = null
    const seen = (isOn: boolean) => {
      timer?.cancel()
      timer = null
      if (isOn || options.hold === 0) set('', isOn)
      else timer = clock.timer(options.hold, () => set('', false))
    }
    const line = await openInput(context, ({ isOn }) => seen(isOn))
    set('', line.isOn)
    return {
      close() {
        timer?.cancel()
        return line.close()
      },
    }
  },
})
