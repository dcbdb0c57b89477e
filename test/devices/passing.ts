import type { Plain } from '../../devices/device.ts'
import { until } from '../until.ts'
import type { Scene } from './scene.ts'

/** Lets the time of a scene pass until the condition holds, for drivers that read files and processes meanwhile. */
export async function passUntil(scene: Scene, isReached: () => boolean, what: string): Promise<void> {
  await until(() => {
    if (isReached()) return true
    void scene.pass(1000)
    return false
  }, what)
}

/** Lets it pass until a param has that value. */
export async function becomes(scene: Scene, address: string, value: Plain): Promise<void> {
  await passUntil(scene, () => scene.params.get(address) === value, `${address} of ${value}`)
}
