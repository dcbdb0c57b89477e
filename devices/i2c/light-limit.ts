import type { DeviceContext } from '../device.ts'

/** Tells once when a light sensor gets more light than it can measure, and again after it could. */
export class LightLimit {
  private readonly context: Pick<DeviceContext, 'problem'>
  private readonly remedy: string
  private isReached = false

  /** `remedy`: what to do about it. */
  constructor(context: Pick<DeviceContext, 'problem'>, remedy: string) {
    this.context = context
    this.remedy = remedy
  }

  tell(isReached: boolean): void {
    if (isReached && !this.isReached) {
      this.context.problem('saturated', `there is more light than the sensor can measure: ${this.remedy}`)
    }
    this.isReached = isReached
  }
}
