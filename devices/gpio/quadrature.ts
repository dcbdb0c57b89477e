/** Steps by the two bits before (high) and after (low), a·2 + b; 2 = both changed, which cannot be. */
const STEPS = [0, -1, 1, 2, 1, 0, 2, -1, -1, 2, 0, 1, 2, 1, -1, 0]

/** Counts the quarter steps of two contacts that open and close in turn (Gray code). Source: bridges.md §20.3. */
export class Quadrature {
  /** Quarter steps; clockwise, where a leads b, they rise. */
  steps = 0
  /** Transitions that cannot be: noise, or edges that came too late. */
  invalid = 0
  private state: number

  constructor(a: boolean, b: boolean) {
    this.state = bits(a, b)
  }

  change(a: boolean, b: boolean): void {
    const next = bits(a, b)
    const step = STEPS[this.state * 4 + next]
    this.state = next
    if (step === 2) this.invalid++
    else this.steps += step
  }
}

function bits(a: boolean, b: boolean): number {
  return (a ? 2 : 0) + (b ? 1 : 0)
}
