import type { SystemFiles } from './system.ts'

/**
 * What a Raspberry Pi's firmware has noticed, now and since the start.
 * Source: raspberrypi.com/documentation, vcgencmd, get_throttled: bits 0 under-voltage, 1 frequency capped, 2 throttled,
 * 3 soft temperature limit; the same from 16 on for since the start.
 */
export interface Throttled {
  isUnderVoltage: boolean
  wasUnderVoltage: boolean
  /** Slowed down, for whatever reason. */
  isSlowed: boolean
  wasSlowed: boolean
  isHot: boolean
  wasHot: boolean
}

/** Undefined on other boards and on kernels that do not tell. */
export async function readThrottled(files: SystemFiles): Promise<Throttled | undefined> {
  const platform = '/sys/devices/platform'
  for (const soc of await files.names(platform, /^soc/)) {
    for (const firmware of await files.names(`${platform}/${soc}`, /:firmware$/)) {
      const text = await files.text(`${platform}/${soc}/${firmware}/get_throttled`)
      if (text === undefined) continue
      const bits = Number.parseInt(text.trim(), 16)
      const has = (...numbers: number[]) => numbers.some((bit) => ((bits >> bit) & 1) === 1)
      return {
        isUnderVoltage: has(0),
        wasUnderVoltage: has(16),
        isSlowed: has(1, 2),
        wasSlowed: has(17, 18),
        isHot: has(3),
        wasHot: has(19),
      }
    }
  }
  return undefined
}
