import type { DeviceContext } from '../device.ts'
import type { Edge, InputLine, LineRequest } from '../io/lines.ts'
import { choice, duration, flag, gpioLine } from '../options.ts'

/** Options of everything with one input line. */
export function inputOptions(debounceMs: number) {
  return {
    line: gpioLine('Line that it is connected to.'),
    activeLow: flag('A low level means on, as with a contact to ground.', false),
    bias: choice('Pull resistor; asis leaves it as it is.', 'asis', ['asis', 'up', 'down', 'none']),
    debounce: duration('Changes that last shorter are ignored.', debounceMs, { minMs: 0, maxMs: 1000 }),
  }
}

type InputContext = Pick<DeviceContext, 'name' | 'lines' | 'lost' | 'clock'>

/** What the lines of a device have in common. */
export function lineRequest(
  { name, lost }: Pick<DeviceContext, 'name' | 'lost'>,
  line: string,
  { activeLow, bias }: Pick<LineRequest, 'activeLow' | 'bias'>,
): LineRequest {
  return { line, consumer: `clasp:${name}`, activeLow, bias, onLost: lost }
}

/**
 * Opens the one input line of a device. After edges that the kernel had no room for the level follows as an edge with the
 * same number as the last one.
 */
export async function openInput(
  context: InputContext & {
    options: { line: string; activeLow: boolean; bias: LineRequest['bias']; debounce: number }
  },
  onEdge: (edge: Edge) => void,
): Promise<InputLine> {
  const { options, lines, clock, lost } = context
  let last = 0
  let isLooking = false
  const look = (line: InputLine) => {
    const before = last
    isLooking = true
    line.read().then((isOn) => {
      isLooking = false
      // What has changed meanwhile is newer.
      if (last !== before) look(line)
      else onEdge({ isOn, atMs: clock.now(), sequence: last })
    }, lost)
  }
  const line: InputLine = await lines.input({
    ...lineRequest(context, options.line, options),
    debounceMs: options.debounce,
    onEdge(edge) {
      const isGap = edge.sequence > last + 1
      last = edge.sequence
      onEdge(edge)
      if (isGap && !isLooking) look(line)
    },
  })
  return line
}

/** The moment of an edge in microseconds since the Unix epoch. */
export function edgeTimeUs(clock: DeviceContext['clock'], { atMs }: Edge): number {
  return clock.wallUs() - Math.round((clock.now() - atMs) * 1000)
}
