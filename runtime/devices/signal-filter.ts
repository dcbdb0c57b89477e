import type { Plain } from '../../devices/device.ts'
import type { SignalSettings } from '../../devices/device-entry.ts'

/** Median and calibration of one signal. What is no number passes as it is. */
export class SignalFilter {
  private readonly settings: SignalSettings
  private readonly recent: number[] = []

  constructor(settings: SignalSettings) {
    this.settings = settings
  }

  apply(value: Plain): Plain {
    if (typeof value !== 'number') return value
    const { gain = 1, offset = 0 } = this.settings
    return this.median(value) * gain + offset
  }

  private median(value: number): number {
    const { median = 1 } = this.settings
    if (median <= 1) return value
    this.recent.push(value)
    if (this.recent.length > median) this.recent.shift()
    const sorted = [...this.recent].sort((a, b) => a - b)
    return sorted[Math.floor((sorted.length - 1) / 2)]
  }
}
