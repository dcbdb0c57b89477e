import type { ConflictPolicy } from '../../runtime/federation/leaf/reconcile.ts'
import { int } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { Cable } from './cable.ts'
import { Chance, differences, Site, type Test } from './proof-scene.ts'
import { SimulatedTime } from './simulated-time.ts'

const NAMES = ['a', 'b', 'c']
const ROUNDS = 4
const OPERATIONS = 15
const ADDRESSES = 5
const CONVERGED_MS = 300_000

/**
 * Three leaves around a hub of ours that write into their own namespaces and into those of the others, while lines are cut,
 * go dead, and the hub is away or comes back empty; the same for the same seed. Resolves with what was not the same
 * everywhere after a round.
 */
export async function runStar(t: Test, seed: number): Promise<{ violations: string[]; story: string[] }> {
  const chance = new Chance(seed)
  const clock = new SteppedClock()
  const time = new SimulatedTime(clock)
  let hub = await Site.start(t, { name: 'hub', clock, isHub: true })
  const conflict = chance.pick<ConflictPolicy>(['owner', 'lww', 'hub'])
  const story = [`policy ${conflict}`]
  const violations: string[] = []
  const lines: Cable[] = []
  const leaves: Site[] = []
  for (const name of NAMES) {
    const line = await Cable.to(t, hub.port)
    lines.push(line)
    const others = NAMES.filter((other) => other !== name).map((other) => `/${other}/**`)
    const uplink = {
      url: line.url,
      routerId: name,
      namespaces: [`/${name}/**`],
      subscribe: others,
      writeRemote: others,
      verifyIntervalMs: 30_000,
      policy: [{ pattern: '/**', conflict, offline: 'latest' as const }],
    }
    leaves.push(await Site.start(t, { name, clock, uplink, random: () => chance.next() }))
  }
  // A mirror may go on showing what only the hub had, and lost before the owner heard of it.
  const disagreements = () =>
    NAMES.flatMap((name, owner) => {
      const atHub = hub.values(`/${name}/`)
      return leaves.flatMap((leaf, i) => {
        const values = leaf.values(`/${name}/`)
        if (i !== owner) for (const address of values.keys()) if (!atHub.has(address)) values.delete(address)
        return differences(atHub, values)
      })
    })
  const isSettled = () => leaves.every((leaf) => leaf.isSettled) && disagreements().length === 0
  await time.until(() => leaves.every(({ isActive }) => isActive), 'three links')
  let count = 0
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < OPERATIONS; i++) {
      const n = chance.below(NAMES.length)
      const event = chance.below(12)
      if (event === 0) lines[n].cut()
      else if (event === 1) lines[n].pull()
      else if (event === 2) lines[n].plug()
      else if (event === 3) {
        await hub.goAway()
        await time.pass(chance.below(5000))
        await hub.comeBack()
      } else if (event === 4 && round % 2 === 1) {
        const { port } = hub
        await hub.stop()
        hub = await Site.start(t, { name: 'hub', clock, isHub: true, port })
      } else {
        for (let writes = 1 + chance.below(5); writes > 0; writes--) {
          const address = `/${chance.pick(NAMES)}/p${chance.below(ADDRESSES)}`
          leaves[n].set(address, int(++count))
          story.push(`${NAMES[n]} sets ${address} to ${count}`)
        }
      }
      if (event <= 4) story.push(`event ${event} at ${NAMES[n]}`)
      await time.pass(1 + chance.below(1500), 250)
    }
    for (const line of lines) line.plug()
    try {
      await time.until(isSettled, 'agreement', CONVERGED_MS, 250)
      await time.pass(70_000, 250)
      await time.until(isSettled, 'lasting agreement', CONVERGED_MS, 250)
    } catch {
      const states = leaves.map(({ status }) => `${status.state} ${status.queue.params} ${status.lastError}`)
      violations.push(`round ${round}: ${disagreements()} (${states})`)
      break
    }
  }
  return { violations, story }
}
