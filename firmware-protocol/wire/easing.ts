import type { Easing } from './message.ts'

/** Eased progress for `t`, which is clamped to 0…1. Bit-exact with upstream; a bezier may overshoot. Wire reference §11.6. */
export function ease(t: number, easing: Easing, bezier?: readonly [number, number, number, number]): number {
  const x = clamp(t)
  switch (easing) {
    case 'linear':
      return x
    case 'ease-in':
      return x * x
    case 'ease-out':
      return 1 - (1 - x) * (1 - x)
    case 'ease-in-out': {
      if (x < 0.5) return 2 * x * x
      const k = -2 * x + 2
      return 1 - (k * k) / 2
    }
    case 'step':
      return x < 1 ? 0 : 1
    case 'cubic-bezier':
      return bezier === undefined ? x : cubicBezier(x, ...bezier)
  }
}

/** Newton's method for the curve parameter at `t`, at most 8 steps. */
function cubicBezier(t: number, x1: number, y1: number, x2: number, y2: number): number {
  let u = t
  for (let i = 0; i < 8; i++) {
    const slope = derivative(u, x1, x2)
    if (Math.abs(slope) < 1e-10) break
    u = clamp(u - (bezierAt(u, x1, x2) - t) / slope)
  }
  return bezierAt(u, y1, y2)
}

function bezierAt(u: number, p: number, q: number): number {
  const m = 1 - u
  return 3 * m * m * u * p + 3 * m * u * u * q + u * u * u
}

function derivative(u: number, p: number, q: number): number {
  const m = 1 - u
  return 3 * m * m * p + 6 * m * u * (q - p) + 3 * u * u * (1 - q)
}

function clamp(t: number): number {
  return t < 0 ? 0 : t > 1 ? 1 : t
}
