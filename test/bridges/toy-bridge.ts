import type { TestContext } from 'node:test'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { type BridgeContext, defineBridge, type Update } from '../../runtime/bridges/bridge.ts'
import type { BridgeEntry } from '../../runtime/bridges/bridge-entry.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { BridgeScene } from './bridge-scene.ts'

export const toyEntry = (id: string, more: Partial<BridgeEntry> = {}): BridgeEntry => ({
  id,
  kind: 'toy',
  namespace: `/${id}`,
  enabled: true,
  options: {},
  map: [],
  ...more,
})

/** A protocol of which the foreign side is this test. */
export async function toy(t: TestContext) {
  const clock = new SteppedClock()
  const log: string[] = []
  const opened: { context: BridgeContext; updates: Update[] }[] = []
  let failure: string | undefined
  const kind = defineBridge({
    kind: 'toy',
    description: 'A test.',
    namespace: '/toy',
    options: { members: {} } as never,
    load: async () => async (context) => {
      if (failure !== undefined) throw new Error(failure)
      const updates: Update[] = []
      context.router.subscribe(`${context.namespace}/**`, (update) => updates.push(update))
      opened.push({ context, updates })
      log.push(`${context.id} opened`)
      return {
        async stop() {
          log.push(`${context.id} stopped`)
        },
      }
    },
  })
  const scene = await BridgeScene.start(t, '[]', { clock, kinds: [kind] })
  const apply = async (...entries: BridgeEntry[]) => {
    await scene.host.apply(entries)
    await scene.settle()
  }
  const pass = async (ms: number) => {
    clock.advance(ms)
    await scene.settle()
  }
  return { scene, log, opened, entry: toyEntry, apply, pass, fail: (reason: string | undefined) => (failure = reason) }
}

/** Of a map, as a JavaScript value. */
export function member(value: Value | undefined, name: string): unknown {
  const found = value?.type === 'map' ? value.value.find(([key]) => key === name)?.[1] : undefined
  return found !== undefined && 'value' in found ? found.value : undefined
}
