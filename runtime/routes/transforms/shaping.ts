import type { SourceNode } from '../../config/fields.ts'
import { nearest } from '../../config/nearest.ts'
import { shown } from '../../config/problem.ts'
import { clampedBezier, curveNames, curveOf, inverseCurve } from '../curves.ts'
import { float, numberOf, numericStep, recallingStep } from '../numbers.ts'
import { Settings } from '../settings.ts'
import type { Step } from '../step.ts'
import { snakeCase } from '../written-form.ts'
import type { TransformTable } from './transform.ts'

/** Curves, dead zones and switching thresholds. Source: bridges.md §18.3, §18.4. */

function readCurve(settings: Settings): Step {
  const node = settings.source('curveType') ?? settings.source('curve')
  const bezier = settings.source('bezier') ?? node?.entries()?.find(({ key }) => key.toLowerCase() === 'bezier')?.node
  if (bezier !== undefined) return readBezier(bezier, settings)
  const type = node?.value
  // Also as the desktop application writes it: ease-in.
  const written = typeof type === 'string' ? snakeCase(type) : type
  const name = curveNames.find((known) => known === (written ?? 'linear'))
  if (name === undefined) {
    const near = typeof written === 'string' ? nearest(written, curveNames) : undefined
    const hint = near === undefined ? '' : `did you mean "${near}"? `
    const remedy = `${hint}expected {bezier: {x1, y1, x2, y2}} or one of ${curveNames.join(', ')}`
    settings.problem(node ?? settings.node, `there is no curve ${shown(type)}`, remedy)
    return numericStep((number) => number)
  }
  const inverse = inverseCurve(name)
  const step = (): Step =>
    numericStep(curveOf(name), inverse === undefined ? undefined : () => numericStep(inverse, step))
  return step()
}

function readBezier(node: SourceNode, { problems }: Settings): Step {
  const settings = new Settings(node, problems)
  const [x1, y1, x2, y2] = ['x1', 'y1', 'x2', 'y2'].map((name) => settings.number(name))
  settings.finish()
  // It rises all the way when its control points are inside the square; mirrored at the diagonal it is the way back.
  const isRising = y1 >= 0 && y1 <= 1 && y2 >= 0 && y2 <= 1
  const step = (): Step =>
    numericStep(
      clampedBezier(x1, y1, x2, y2),
      isRising ? () => numericStep(clampedBezier(y1, x1, y2, x2), step) : undefined,
    )
  return step()
}

/** Numbers nearer to the centre than the threshold become it; others pass, or start from it when rescaled. */
function readDeadZone(settings: Settings): Step {
  const threshold = settings.number('threshold', undefined, { min: 0 })
  const center = settings.number('center', 0)
  const rescales = settings.flag('rescale', false)
  return {
    run(value, _state, moment) {
      const number = numberOf(value, moment)
      if (number === undefined) return value
      const distance = Math.abs(number - center)
      if (Number.isNaN(distance)) return 'failed'
      if (distance < threshold) return float(center)
      if (!rescales) return value
      const result = center + Math.sign(number - center) * (distance - threshold)
      return Number.isFinite(result) ? float(result) : 'failed'
    },
  }
}

function readThreshold(settings: Settings): Step {
  if (!settings.has('value')) return numericStep((number) => (number >= 0.5 ? 1 : 0))
  const limit = settings.number('value')
  const mode = settings.choice('mode', ['above', 'below', 'equal'], 'above')
  const hysteresis = settings.number('hysteresis', 0, { min: 0 })
  if (mode === 'equal') return numericStep((number) => (Math.abs(number - limit) < 0.001 ? 1 : 0))
  const isAbove = mode === 'above'
  const isOn = (number: number, at: number) => (isAbove ? number > at : number < at)
  if (hysteresis === 0) return numericStep((number) => (isOn(number, limit) ? 1 : 0))
  const offLimit = isAbove ? limit - hysteresis : limit + hysteresis
  return recallingStep(
    () => ({ isOn: false }),
    (number, state) => {
      state.isOn = isOn(number, state.isOn ? offLimit : limit)
      return state.isOn ? 1 : 0
    },
  )
}

/** On from `high`, off from `low`. */
function readHysteresis(settings: Settings): Step {
  const low = settings.number('low')
  const high = settings.number('high')
  if (low > high) settings.problem(settings.node, `low ${low} is above high ${high}`, 'swap them')
  return recallingStep(
    () => ({ isOn: false }),
    (number, state) => {
      if (number >= high) state.isOn = true
      else if (number <= low) state.isOn = false
      return state.isOn ? 1 : 0
    },
  )
}

/** The threshold of the rules engine: a Bool. */
function readBoolThreshold(settings: Settings): Step {
  const limit = settings.number('value')
  return {
    run(value, _state, moment) {
      const number = numberOf(value, moment)
      return number === undefined ? value : { type: 'bool', value: number > limit }
    },
  }
}

export const shaping: TransformTable = {
  curve: readCurve,
  dead_zone: readDeadZone,
  deadzone: (settings) => {
    const low = settings.number('min', 0.4)
    const high = settings.number('max', 0.6)
    return numericStep((number) => (number >= low && number <= high ? 0 : number))
  },
  threshold: readThreshold,
  bool_threshold: readBoolThreshold,
  hysteresis: readHysteresis,
  toggle: () => numericStep((number) => (number > 0.5 ? 1 : 0)),
  gate: () => numericStep((number) => (number > 0 ? 1 : 0)),
  trigger: () => numericStep((number) => (number !== 0 ? 1 : 0)),
}
