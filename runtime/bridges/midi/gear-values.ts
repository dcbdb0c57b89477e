const MAX_ENTRIES = 4096

/** The last value of each target at the gear, as far as it is known, whoever set it. Keys: `keyOf`. */
export class GearValues {
  private readonly values = new Map<number, number>()

  get(key: number): number | undefined {
    return this.values.get(key)
  }

  set(key: number, value: number): void {
    if (this.values.size >= MAX_ENTRIES && !this.values.has(key)) {
      this.values.delete(this.values.keys().next().value as number)
    }
    this.values.set(key, value)
  }
}
