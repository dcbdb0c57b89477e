import type { OpenBridge, RunningBridge } from '../bridge.ts'
import { FrameClock } from '../lighting/frame-clock.ts'
import { InputUniverse } from '../lighting/input-universe.ts'
import { LightingOutputs } from '../lighting/lighting-outputs.ts'
import { inputSettings, outputSettings } from '../lighting/lighting-settings.ts'
import { SLOTS } from '../lighting/slot-address.ts'
import { universeSignals } from '../lighting/universe-signals.ts'
import type { DmxOptions } from './dmx-kind.ts'
import { type DmxContext, dmxPort } from './dmx-port.ts'

/** A widget wants to hear from its host (bridges.md §8.3). */
const KEEP_ALIVE_MS = 1000
/** Receivers take a line for dead after that (E1.11). */
const LOSS_MS = 1250
/** Others are text, RDM and tests. */
const LEVELS_START_CODE = 0
const SOURCE = 'line'

/** One universe of DMX512 at a serial port. Source: bridges.md §5, §8. */
export const openDmx: OpenBridge<DmxOptions> = (context) =>
  context.options.direction === 'out' ? openOutput(context) : openInput(context)

async function openOutput(context: DmxContext): Promise<RunningBridge> {
  const { options, namespace, router } = context
  const { universe, scale, scenes, refresh, shortAddresses } = options
  /** As sent last, for a port that comes back. */
  let levels: Uint8Array | null = null
  const port = await dmxPort(context, {
    onUp(line) {
      if (levels !== null) line.send(levels)
    },
  })
  const outputs = new LightingOutputs({
    context,
    form: { first: universe, last: universe, ...(shortAddresses && { shortUniverse: universe }) },
    scale,
    scenes,
    pace: { periodMs: 1000 / refresh, keepAliveMs: KEEP_ALIVE_MS, repeats: 0 },
    outputs: [outputSettings(universe, options)],
    send(_, slots) {
      levels ??= new Uint8Array(slots.length)
      levels.set(slots)
      port?.line?.send(slots)
    },
  })
  router.announce(namespace, universeSignals(`${namespace}/${universe}`, true, false))
  await port?.start()
  return {
    async stop() {
      // Sends the look for the end.
      outputs.stop()
      await port?.stop()
    },
  }
}

async function openInput(context: DmxContext): Promise<RunningBridge> {
  const { options, namespace, router, clock } = context
  const { universe, scenes, inRate, normalize } = options
  const frames = new FrameClock(clock)
  const input = new InputUniverse({
    settings: inputSettings(universe, options),
    scenes,
    periodMs: 1000 / inRate,
    lossMs: LOSS_MS,
    maxSources: 1,
    isNormalized: normalize,
    namespace,
    router,
    time: clock,
    frames,
  })
  const base = `${namespace}/${universe}`
  const endKnown = router.subscribe(`${base}/*`, ({ address }) => {
    const channel = Number(address.slice(base.length + 1))
    if (channel >= 1 && channel <= SLOTS) input.known(channel)
  })
  const port = await dmxPort(context, {
    onFrame(startCode, slots) {
      if (startCode !== LEVELS_START_CODE || slots.length === 0) return
      endKnown()
      const options = { priority: 100, timeoutMs: Number.POSITIVE_INFINITY }
      const source = input.universe.find(SOURCE) ?? input.universe.open(SOURCE, options, clock.now())
      if (source !== undefined) input.frame(source, slots)
    },
  })
  router.announce(namespace, universeSignals(base, false, normalize))
  await port?.start()
  return {
    async stop() {
      await port?.stop()
      frames.stop()
    },
  }
}
