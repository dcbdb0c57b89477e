/**
 * The CSS timing curve through (0, 0), (x1, y1), (x2, y2), (1, 1): y at the place where x is t. x1 and x2 are kept within
 * 0…1, so that there is one such place. Newton's method finds it; where a step would leave the interval that is left,
 * that is halved instead. Source: bridges.md §18.4.
 */
export function bezierCurve(x1: number, y1: number, x2: number, y2: number): (t: number) => number {
  const firstX = Math.min(1, Math.max(0, x1))
  const secondX = Math.min(1, Math.max(0, x2))
  return (t) => {
    if (t <= 0) return 0
    if (t >= 1) return 1
    let low = 0
    let high = 1
    let s = t
    for (let i = 0; i < 60; i++) {
      const error = at(s, firstX, secondX) - t
      if (Math.abs(error) < 1e-12) break
      if (error < 0) low = s
      else high = s
      const next = s - error / slope(s, firstX, secondX)
      // Also when the slope is zero: the step is infinite or NaN then.
      s = next > low && next < high ? next : (low + high) / 2
    }
    return at(s, y1, y2)
  }
}

function at(s: number, first: number, second: number): number {
  const rest = 1 - s
  return 3 * rest * rest * s * first + 3 * rest * s * s * second + s * s * s
}

function slope(s: number, first: number, second: number): number {
  const rest = 1 - s
  return 3 * rest * rest * first + 6 * rest * s * (second - first) + 3 * s * s * (1 - second)
}
