import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { BridgeContext } from '../bridge.ts'
import { type Look, lookLevels } from '../lighting/look.ts'
import { plainMap } from '../plain-map.ts'
import type { DmxOptions } from './dmx-kind.ts'
import type { DmxLine, LineEvents, LinePace } from './dmx-line.ts'
import { openEnttecWidget } from './enttec-widget.ts'
import { LineKeeper } from './line-keeper.ts'
import { openTimedLine } from './timed-line.ts'

export type DmxContext = BridgeContext<DmxOptions>

export interface PortEvents {
  /** As that of a line. */
  onFrame?: LineEvents['onFrame']
  /** It is open, for the first time or again. */
  onUp?(line: DmxLine): void
}

/** Of what is measured every second. */
const MEASURED_TTL_S = 10

/**
 * The port of a bridge, not yet started; null: type virtual has none. It tells how it goes: the state of the bridge, and the
 * params `device`, `refresh` and `jitter` below `/_meta/bridges/<id>`. Rejects with an error for the operator where a
 * program is missing.
 */
export async function dmxPort(context: DmxContext, { onFrame, onUp }: PortEvents): Promise<LineKeeper | null> {
  const { options, clock, random, counters } = context
  const { type, port, direction } = options
  if (type === 'virtual' || port === undefined) return null
  const program = type === 'enttec-pro' ? '' : await timingProgram(context)
  return new LineKeeper({
    port,
    clock,
    random,
    open: (path, onGone) =>
      openLine(context, path, program, {
        onFrame: (startCode, slots) => onFrame?.(startCode, slots),
        onGone,
        onPace: (pace) => tellPace(context, pace),
        onProblem(code, message) {
          if (direction === 'in') counters.inDropped++
          context.problem(code, message)
        },
      }),
    onUp(line, path) {
      context.tell('running')
      context.setPeers(1)
      tell(context, 'device', plainMap({ port: path, ...line.details }))
      onUp?.(line)
    },
    onDown(reason) {
      context.setPeers(0)
      context.problem('line', reason)
      context.tell('degraded', reason)
    },
  })
}

async function timingProgram({ options, program }: DmxContext): Promise<string> {
  const path = await program('clasp-dmx')
  if (path !== null) return path
  throw new Error(
    `type: ${options.type} needs the program clasp-dmx, which is not installed: install the package of clasp-edge, or gcc, and build it`,
  )
}

function openLine(context: DmxContext, path: string, program: string, events: LineEvents): Promise<DmxLine> {
  const { options, clock } = context
  const { type, direction, slots, refresh, breakUs, markUs, rs485, universe, scenes, onStop, key, labels } = options
  const line = { clock, isInput: direction === 'in', slots, refreshHz: refresh, breakUs, markUs }
  if (type === 'enttec-pro') return openEnttecWidget(path, { ...line, key, labels }, events)
  const last = lookLevels(onStop as Look, scenes, universe)
  return openTimedLine(path, { ...line, program, last, isRtsLow: type === 'ftdi', isRs485: rs485 }, events)
}

/** `refresh`: frames a second; `jitter`: the longest minus the shortest time between two in the last second, ms. */
function tellPace(context: DmxContext, { meanMs, longestMs, shortestMs }: LinePace): void {
  tell(context, 'refresh', { type: 'f64', value: Math.round(100_000 / meanMs) / 100 }, MEASURED_TTL_S)
  tell(context, 'jitter', { type: 'f64', value: Math.round((longestMs - shortestMs) * 1000) / 1000 }, MEASURED_TTL_S)
}

function tell({ id, router }: DmxContext, key: string, value: Value, seconds?: number): void {
  const ttl = seconds === undefined ? ({ mode: 'never' } as const) : ({ mode: 'sliding', seconds } as const)
  router.send({ type: 'SET', address: `/_meta/bridges/${id}/${key}`, value, ttl })
}
