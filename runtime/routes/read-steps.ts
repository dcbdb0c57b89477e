import type { SourceNode } from '../config/fields.ts'
import { nearest } from '../config/nearest.ts'
import type { Problem } from '../config/problem.ts'
import { aggregatorTypes, readAggregator, SampleWindow } from './aggregators.ts'
import { recallingStep } from './numbers.ts'
import { plainSource } from './plain-source.ts'
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
  const written = writtenTransform(node)
  const settings = new Settings(written.node, problems)
  if (written.isTagged) settings.has('type')
  const name = nameOf(written.type)
  if (name === 'chain') {
    const steps = settings.list('transforms').flatMap((item) => read(item, problems, depth + 1))
    settings.finish()
    return steps
  }
  if (Object.hasOwn(transforms, name)) {
    const step = transforms[name](settings, (inside) => together(inside, problems, depth + 1))
    // `type` of an aggregator or of packed bytes, which a tag would hide.
    settings.finish()
    return [step]
  }
  if (written.isTagged && aggregatorTypes.some((type) => type === name)) return [aggregator(settings)]
  const refusal = Object.hasOwn(refusals, name) ? refusals[name] : undefined
  const near = nearest(name, transformNames)
  const hint = near === undefined ? '' : `did you mean "${near}"? `
  settings.problem(
    node,
    refusal === undefined ? `there is no transform ${JSON.stringify(written.type)}` : `${name} is not available`,
    refusal ?? `${hint}allowed: ${transformNames.join(', ')}`,
  )
  return []
}

/** `{type: invert, …}`, `invert`, `{invert: {…}}`. */
function writtenTransform(node: SourceNode): { type: string; node: SourceNode; isTagged: boolean } {
  const { line, column, path, value } = node
  if (typeof value === 'string') {
    return { type: value, node: { ...plainSource({}, path), line, column }, isTagged: false }
  }
  const entries = node.entries() ?? []
  const tag = entries.find(({ key }) => key === 'type')
  if (tag === undefined && entries.length === 1) {
    const [{ key, node: inside }] = entries
    return { type: key, node: inside, isTagged: false }
  }
  return { type: typeof tag?.node.value === 'string' ? tag.node.value : '', node, isTagged: true }
}

/** In snake_case. The rules engine writes a capital, and means a Bool with its threshold. */
function nameOf(type: string): string {
  if (type === 'Threshold') return 'bool_threshold'
  return type.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter}`).toLowerCase()
}

function aggregator(settings: Settings): Step {
  const wanted = readAggregator(settings)
  settings.finish()
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
      for (const [at, one] of steps.entries()) {
        const outcome = one.run(current, states[at], moment)
        if (outcome === 'held' || outcome === 'failed') return outcome
        current = outcome
      }
      return current
    },
  }
  return step as Step
}
