import type { SourceNode } from '../config/fields.ts'
import { nearest } from '../config/nearest.ts'
import { type Problem, problemAt, shown } from '../config/problem.ts'
import { type AggregatorType, aggregatorTypes, readAggregator, SampleWindow } from './aggregators.ts'
import { recallingStep } from './numbers.ts'
import { Settings } from './settings.ts'
import type { Step } from './step.ts'
import { bits } from './transforms/bits.ts'
import { conversion } from './transforms/conversion.ts'
import { flow } from './transforms/flow.ts'
import { packing } from './transforms/packing.ts'
import { scaling } from './transforms/scaling.ts'
import { shaping } from './transforms/shaping.ts'
import { smoothing } from './transforms/smoothing.ts'
import { structure } from './transforms/structure.ts'
import { switching } from './transforms/switching.ts'
import { timing } from './transforms/timing.ts'
import type { TransformTable } from './transforms/transform.ts'
import { snakeCase, writtenForm } from './written-form.ts'

const MAX_DEPTH = 32
const MAX_STEPS = 256

const transforms: TransformTable = {
  ...scaling,
  ...shaping,
  ...conversion,
  ...bits,
  ...smoothing,
  ...switching,
  ...timing,
  ...structure,
  ...packing,
  ...flow,
}
/** Names as they are told to people; the others are the same again. */
export const transformNames: readonly string[] = [...Object.keys(transforms), 'chain'].filter(
  (name) => name !== 'bool_threshold',
)

/** The setting that a bare value stands for. */
const mainSettings: Readonly<Record<string, string>> = {
  aggregate: 'type',
  bool_threshold: 'value',
  chain: 'transforms',
  curve: 'curveType',
  dead_zone: 'threshold',
  deadband: 'abs',
  debounce: 'ms',
  edge: 'edge',
  expression: 'expr',
  json_path: 'path',
  log: 'base',
  lowpass: 'alpha',
  map_type: 'toType',
  median: 'n',
  modulo: 'divisor',
  moving_average: 'window',
  pack: 'type',
  power: 'exponent',
  quantize: 'steps',
  rate_limit: 'maxDelta',
  round: 'decimals',
  select: 'path',
  slew: 'unitsPerS',
  smooth: 'factor',
  template: 'text',
  threshold: 'value',
  throttle: 'hz',
  unpack: 'type',
}

const refusals: Readonly<Record<string, string>> = {
  wasm: 'WebAssembly modules cannot be run here: use an expression',
  javascript: 'foreign JavaScript is not run: use an expression',
}

/** The steps of a list of transforms, or of a single one; lists within the list are taken apart. */
export function readSteps(node: SourceNode, problems: Problem[]): Step[] {
  const steps = read(node, problems, 0)
  if (steps.length > MAX_STEPS) {
    const { line, column, path } = node
    problems.push({ line, column, message: `${path}: more than ${MAX_STEPS} steps`, remedy: 'use fewer' })
  }
  return steps
}

function read(node: SourceNode, problems: Problem[], depth: number): Step[] {
  if (depth > MAX_DEPTH) {
    const { line, column, path } = node
    problems.push({ line, column, message: `${path}: it is nested too deeply`, remedy: 'use fewer levels' })
    return []
  }
  const items = node.items()
  if (items !== undefined) return items.flatMap((item) => read(item, problems, depth + 1))
  const written = writtenForm(node)
  if (written.name === '') {
    const message = `${node.path}: ${shown(node.value)} is no transform`
    problems.push(
      problemAt(node, message, 'expected its name, such as invert, or {smooth: 0.5}, or {clamp: {min: 0, max: 1}}'),
    )
    return []
  }
  const name = nameOf(written.name)
  const aggregator = aggregatorTypes.find((type) => type === name)
  const isKnown = Object.hasOwn(transforms, name)
  if (!isKnown && name !== 'chain' && aggregator === undefined) {
    const refusal = Object.hasOwn(refusals, name) ? refusals[name] : undefined
    const names = [...transformNames, ...aggregatorTypes]
    const near = nearest(name, names)
    const hint = near === undefined ? '' : `did you mean "${near}"? `
    const message = refusal === undefined ? `there is no transform ${shown(written.name)}` : `${name} is not available`
    problems.push(problemAt(node, `${node.path}: ${message}`, refusal ?? `${hint}allowed: ${names.join(', ')}`))
    return []
  }
  const main = Object.hasOwn(mainSettings, name) ? mainSettings[name] : undefined
  const settings = new Settings(written.node, problems, main)
  if (written.isTagged) settings.has('type')
  const steps = isKnown
    ? [transforms[name](settings, (inside) => together(inside, problems, depth + 1))]
    : aggregator !== undefined
      ? [aggregatorStep(settings, aggregator)]
      : settings.list('transforms').flatMap((item) => read(item, problems, depth + 1))
  settings.finish()
  return steps
}

/** In snake_case. The rules engine writes a capital, and means a Bool with its threshold. */
function nameOf(type: string): string {
  return type === 'Threshold' ? 'bool_threshold' : snakeCase(type)
}

function aggregatorStep(settings: Settings, type: AggregatorType): Step {
  const wanted = readAggregator(settings, type)
  return recallingStep(
    () => new SampleWindow(wanted),
    (number, window, { nowMs }) => window.add(number, nowMs),
  )
}

/** As one step, which must answer at once. */
function together(node: SourceNode, problems: Problem[], depth: number): Step {
  const steps = read(node, problems, depth)
  if (steps.some(({ due }) => due !== undefined)) {
    const { line, column, path } = node
    const message = `${path}: transforms that wait cannot be inside others`
    problems.push({ line, column, message, remedy: 'make it a step of its own' })
  }
  const step: Step<unknown[]> = {
    start: () => steps.map((one) => one.start?.()),
    run(value, states, moment) {
      let current = value
      for (let at = 0; at < steps.length; at++) {
        const outcome = steps[at].run(current, states[at], moment)
        if (outcome === 'held' || outcome === 'failed') return outcome
        current = outcome
      }
      return current
    },
  }
  return step as Step
}
