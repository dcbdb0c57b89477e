import { parseChannels } from './channel-ranges.ts'
import { SLOTS } from './slot-address.ts'

/** What an output shows when nobody says so: at its start, after a loss, at its end. Source: bridges.md §5.5, §20.8. */

/** `hold`: stays as it is. */
export type Look = 'hold' | 'zero' | 'full' | `scene:${number}`

/** A stored look: `levels` for one universe, or for all. */
export interface Scene {
  readonly scene: number
  readonly universe?: number
  readonly levels: string
}

export function isLook(text: string): text is Look {
  return text === 'hold' || text === 'zero' || text === 'full' || /^scene:\d{1,5}$/.test(text)
}

/** `1-4@255,10@50%`: channels and their levels, as consoles write them; all others are 0. Undefined: it is no such text. */
export function parseLevels(text: string): Uint8Array | undefined {
  const levels = new Uint8Array(SLOTS)
  const part = /([^@]+)@\s*(\d{1,3})(%?)\s*(?:,|$)/y
  do {
    const match = part.exec(text)
    const channels = match === null ? undefined : parseChannels(match[1])
    if (match === null || channels === undefined) return undefined
    const [number, isShare] = [Number(match[2]), match[3] === '%']
    if (number > (isShare ? 100 : 255)) return undefined
    for (const channel of channels) levels[channel - 1] = isShare ? Math.round((number * 255) / 100) : number
  } while (part.lastIndex < text.length)
  return levels
}

/** Levels of all 512 slots; null: hold, or a scene that is not there. */
export function lookLevels(look: Look, scenes: readonly Scene[], universe: number): Uint8Array | null {
  if (look === 'hold') return null
  if (look === 'zero') return new Uint8Array(SLOTS)
  if (look === 'full') return new Uint8Array(SLOTS).fill(255)
  const number = Number(look.slice('scene:'.length))
  const fitting = scenes.filter((one) => one.scene === number)
  const scene = fitting.find((one) => one.universe === universe) ?? fitting.find((one) => one.universe === undefined)
  return scene === undefined ? null : (parseLevels(scene.levels) ?? null)
}

/** The first scene that a look of a universe names and that is not there, for the operator. */
export function missingScene(looks: readonly string[], scenes: readonly Scene[], universe: number): string | undefined {
  const fitting = scenes.filter((one) => one.universe === undefined || one.universe === universe)
  const missing = looks.find(
    (look) => look.startsWith('scene:') && !fitting.some(({ scene }) => look === `scene:${scene}`),
  )
  return missing === undefined ? undefined : `${missing} is not among the scenes of universe ${universe}`
}
