import { bezierCurve } from './bezier.ts'

/** Easing curves from 0…1 to about 0…1. Source: bridges.md §18.4. */
export type Curve = (t: number) => number

const THIRD_TURN = (2 * Math.PI) / 3

/** The way in turned round: out(t) = 1 − in(1 − t). */
const reversed =
  (curve: Curve): Curve =>
  (t) =>
    1 - curve(1 - t)

/** In up to the middle, out from there. */
const joined =
  (curve: Curve): Curve =>
  (t) =>
    t < 0.5 ? curve(2 * t) / 2 : 1 - curve(2 - 2 * t) / 2

const quadIn: Curve = (t) => t * t
const cubicIn: Curve = (t) => t * t * t
const expoIn: Curve = (t) => (t === 0 ? 0 : 2 ** (10 * t - 10))
const sineIn: Curve = (t) => 1 - Math.cos((Math.PI * t) / 2)
const circIn: Curve = (t) => 1 - Math.sqrt(1 - t * t)
const elasticIn: Curve = (t) =>
  t === 0 || t === 1 ? t : -(2 ** (10 * t - 10)) * Math.sin((10 * t - 10.75) * THIRD_TURN)
const backIn: Curve = (t) => t * t * (2.70158 * t - 1.70158)

const bounceOut: Curve = (t) => {
  if (t < 1 / 2.75) return 7.5625 * t * t
  if (t < 2 / 2.75) return 7.5625 * (t - 1.5 / 2.75) ** 2 + 0.75
  if (t < 2.5 / 2.75) return 7.5625 * (t - 2.25 / 2.75) ** 2 + 0.9375
  return 7.5625 * (t - 2.625 / 2.75) ** 2 + 0.984375
}
const bounceIn = reversed(bounceOut)

/** Those that rise all the way have a way back. */
const rising: Record<string, Curve> = {
  linear: (t) => t,
  quad_in: quadIn,
  quad_out: reversed(quadIn),
  quad_in_out: joined(quadIn),
  cubic_in: cubicIn,
  cubic_out: reversed(cubicIn),
  cubic_in_out: joined(cubicIn),
  expo_in: expoIn,
  expo_out: reversed(expoIn),
  expo_in_out: joined(expoIn),
  sine_in: sineIn,
  sine_out: reversed(sineIn),
  sine_in_out: joined(sineIn),
  circ_in: circIn,
  circ_out: reversed(circIn),
  circ_in_out: joined(circIn),
  ease_in: quadIn,
  ease_out: reversed(quadIn),
  ease_in_out: joined(quadIn),
  // The names of the desktop application.
  exponential: expoIn,
  logarithmic: (t) => Math.log(1 + t * (Math.E - 1)),
}

const wavy: Record<string, Curve> = {
  elastic_in: elasticIn,
  elastic_out: reversed(elasticIn),
  elastic_in_out: joined(elasticIn),
  back_in: backIn,
  back_out: reversed(backIn),
  back_in_out: joined(backIn),
  bounce_in: bounceIn,
  bounce_out: bounceOut,
  bounce_in_out: joined(bounceIn),
}

const curves: Record<string, Curve> = { ...rising, ...wavy }
export const curveNames = Object.keys(curves)

/** The curve of one of `curveNames`, with its input kept within 0…1. */
export function curveOf(name: string): Curve {
  return clamped(curves[name])
}

/** The way back; undefined for curves that go down somewhere. */
export function inverseCurve(name: string): Curve | undefined {
  return Object.hasOwn(rising, name) ? clamped(solved(rising[name])) : undefined
}

export function clampedBezier(x1: number, y1: number, x2: number, y2: number): Curve {
  return clamped(bezierCurve(x1, y1, x2, y2))
}

function clamped(curve: Curve): Curve {
  return (t) => curve(t <= 0 ? 0 : t >= 1 ? 1 : t)
}

/** Halves the interval until doubles have no digits left. */
function solved(curve: Curve): Curve {
  return (y) => {
    let low = 0
    let high = 1
    for (let i = 0; i < 54; i++) {
      const middle = (low + high) / 2
      if (curve(middle) < y) low = middle
      else high = middle
    }
    return (low + high) / 2
  }
}
