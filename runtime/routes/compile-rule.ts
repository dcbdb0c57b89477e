import { addressProblem } from '../../firmware-protocol/wire/address.ts'
import type { Ttl } from '../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import { parseDuration } from '../config/duration.ts'
import type { SourceNode } from '../config/fields.ts'
import { type Problem, problemAt, shown } from '../config/problem.ts'
import { AddressMatch } from './address-match.ts'
import { AddressTemplate } from './address-template.ts'
import { readAggregator } from './aggregators.ts'
import { readCondition } from './conditions.ts'
import { numericStep } from './numbers.ts'
import { readSteps } from './read-steps.ts'
import type { Matcher, Rule } from './rule.ts'
import { Settings } from './settings.ts'
import { crossAggregateStep, joinStep } from './shared-steps.ts'
import type { Step } from './step.ts'
import { deadband, throttle } from './transforms/timing.ts'

/** A rule, and its way back where it is for both directions. `direction` is as written. */
export interface CompiledRule {
  readonly direction: 'in' | 'out' | 'both'
  readonly isEnabled: boolean
  readonly forward: Rule
  readonly backward: Rule | null
}

const SIGNALS = ['keep', 'param', 'event', 'stream', 'gesture'] as const
const MAX_JOINED = 64
/** In addresses they are escaped: such a match would never hear of anything. */
const MQTT_WILDCARD = /\/([#+])(?=\/|$)/
const identity: Step = numericStep((number) => number)

/** What a rule does with values that are on their way, whichever it is. */
type Treatment = Pick<Rule, 'name' | 'when' | 'signal' | 'ttl' | 'onError' | 'fallback' | 'stop' | 'boolIsNumber'>

/** Where the values come from, where they go, and what makes one of several. */
interface Course {
  readonly matcher: Matcher
  readonly targets: readonly AddressTemplate[]
  readonly targetPatterns: readonly string[]
  readonly isFan: boolean
  readonly skipsOwn: boolean
  readonly first: Step | null
  /** Where the course can be turned round. */
  readonly match: AddressMatch | null
}

/** Compiles one rule (bridges.md §18.2); undefined when it is wrong, which is told by problems then. */
export function compileRule(node: SourceNode, problems: Problem[]): CompiledRule | undefined {
  const before = problems.length
  if (node.entries() === undefined) {
    problems.push(problemAt(node, `${node.path}: this is no rule`, 'expected match, to and what is to be done'))
    return undefined
  }
  const settings = new Settings(node, problems)
  const direction = settings.choice('direction', ['in', 'out', 'both'], 'in')
  const isEnabled = settings.flag('enabled', true)
  const course = readCourse(settings)
  const treatment = readTreatment(settings)
  const transform = settings.source('transform')
  const steps = transform === undefined ? [] : readSteps(transform, problems)
  const reverse = settings.source('reverse')
  const back = reverse === undefined ? undefined : readSteps(reverse, problems)
  if (reverse !== undefined && direction !== 'both') {
    settings.problem(reverse, 'it has no effect', 'add direction: both, or leave it out')
  }
  const pacing = readPacing(settings)
  settings.finish()
  if (problems.length > before || course === undefined) return undefined
  const first = course.first === null ? [] : [course.first]
  const { matcher, targets, targetPatterns, isFan, skipsOwn } = course
  const forward: Rule = {
    ...treatment,
    matcher,
    targets,
    targetPatterns,
    isFan,
    skipsOwn,
    isShared: course.first !== null,
    steps: [...first, ...steps, ...pacing],
    pacingFrom: first.length + steps.length,
  }
  const turned = direction === 'both' ? backward(settings, course, forward, steps, back, pacing) : null
  return problems.length > before ? undefined : { direction, isEnabled, forward, backward: turned }
}

function readTreatment(settings: Settings): Treatment {
  const when = settings.source('when')
  const onError = settings.choice('onError', ['pass', 'drop', 'default'], 'pass')
  const given = settings.source('default')
  if (given !== undefined && !settings.has('onError')) {
    settings.problem(given, 'it has no effect', 'add onError: default, or leave it out')
  }
  return {
    name: settings.text('id', settings.node.path),
    when: when === undefined ? null : readCondition(when, settings.problems),
    signal: settings.choice('signal', SIGNALS, 'keep'),
    ttl: readTtl(settings),
    onError,
    fallback: settings.value(given),
    stop: settings.flag('stop', true),
    boolIsNumber: settings.flag('boolNumeric', false),
  }
}

function readPacing(settings: Settings): Step[] {
  const band = settings.number('deadband', 0, { min: 0 })
  const name = settings.has('rateHz') ? 'rateHz' : 'rate'
  const hz = settings.number(name, 0, { min: 0, max: 1000 })
  return [...(band > 0 ? [deadband(band, 0)] : []), ...(hz > 0 ? [throttle(hz)] : [])]
}

/** `never`, `sliding:60`, `absolute:5m`. */
function readTtl(settings: Settings): Ttl | undefined {
  const node = settings.source('ttl')
  if (node === undefined) return undefined
  if (node.value === 'never') return { mode: 'never' }
  const parts = typeof node.value === 'string' ? /^(sliding|absolute):(.+)$/.exec(node.value) : null
  const ms = parseDuration(parts?.[2]) ?? 0
  if (parts !== null && ms >= 1000 && ms < 2 ** 32) {
    return { mode: parts[1] as 'sliding' | 'absolute', seconds: Math.round(ms / 1000) }
  }
  settings.problem(node, `${JSON.stringify(node.value)} is not allowed`, 'expected never, sliding:60s or absolute:5m')
  return undefined
}

function readCourse(settings: Settings): Course | undefined {
  const joined = settings.has('join')
  const aggregated = settings.source('aggregate')
  // As its own match and to, or those of the rule.
  const place = aggregated === undefined ? settings : new Settings(aggregated, settings.problems, 'type')
  const first = aggregated === undefined ? null : readCrossAggregate(place)
  if (joined) return readJoin(settings)
  const match = readMatch(place.has('match') ? place : settings)
  const isFan = settings.has('fan')
  const targets = isFan
    ? settings.list('fan').map((node) => readTemplate(settings, node, match?.captures ?? 9))
    : [readTarget(place.has('to') ? place : settings, match?.captures ?? 9)]
  if (isFan && (settings.has('to') || aggregated !== undefined || targets.length === 0)) {
    settings.problem(settings.node, 'fan does not fit', 'give it addresses, and the rule neither to nor aggregate')
    return undefined
  }
  if (place !== settings) place.finish()
  if (match === undefined || targets.includes(undefined)) return undefined
  const found = targets as AddressTemplate[]
  const course = { targets: found, targetPatterns: found.map((target) => target.pattern(match)), isFan, first }
  const { pattern } = match
  if (first === null) {
    const matcher: Matcher = { patterns: [pattern], capturesOf: (address) => match.capturesOf(address) }
    return { ...course, matcher, skipsOwn: false, match: isFan ? null : match }
  }
  const results = Pattern.parse(course.targetPatterns[0])
  const capturesOf = (address: string) =>
    results instanceof Pattern && results.matches(address) ? null : match.capturesOf(address)
  return { ...course, matcher: { patterns: [pattern], capturesOf }, skipsOwn: true, match: null }
}

function readCrossAggregate(settings: Settings): Step {
  const aggregator = readAggregator(settings)
  const { type, windowMs } = aggregator
  if (type === 'moving_average' || type === 'rate_of_change' || windowMs > 0) {
    const remedy = 'expected average, sum, min, max, latest, first, count or std_dev, without a window'
    settings.problem(settings.node, `${type} does not go over several addresses like this`, remedy)
  }
  return crossAggregateStep(aggregator, settings.number('staleMs', 0, { min: 0 }))
}

function readJoin(settings: Settings): Course | undefined {
  const nodes = settings.list('join')
  const addresses = nodes.map((node) => {
    const address = typeof node.value === 'string' ? node.value : ''
    const problem = addressProblem(address)
    if (problem !== undefined) settings.problem(node, problem, 'expected an address such as /osc/x')
    return address
  })
  if (addresses.length < 2 || addresses.length > MAX_JOINED || new Set(addresses).size < addresses.length) {
    settings.problem(settings.source('join') ?? settings.node, 'these cannot be joined', 'expected 2 to 64 addresses')
  }
  if (settings.has('match')) settings.problem(settings.node, 'it has match and join', 'leave one of them out')
  const target = readTarget(settings, 0)
  const waitMs = settings.number('waitMs', 20, { min: 0, max: 60_000 })
  if (target === undefined) return undefined
  const matcher: Matcher = {
    patterns: addresses,
    capturesOf: (address) => (addresses.includes(address) ? [address] : null),
  }
  return {
    matcher,
    targets: [target],
    targetPatterns: [target.text],
    isFan: false,
    skipsOwn: false,
    first: joinStep(addresses, waitMs),
    match: null,
  }
}

function readMatch(settings: Settings): AddressMatch | undefined {
  const node = settings.source('match')
  if (node === undefined) {
    settings.problem(settings.node, 'match is missing', 'add the addresses that it reads, such as /osc/*/fader{1-8}')
    return undefined
  }
  const match = typeof node.value === 'string' ? AddressMatch.parse(node.value) : `${shown(node.value)} is no text`
  const foreign = typeof node.value === 'string' ? MQTT_WILDCARD.exec(node.value)?.[1] : undefined
  if (match instanceof AddressMatch && foreign === undefined) return match
  if (match instanceof AddressMatch)
    settings.problem(node, `${foreign} is no wildcard`, 'use * for a segment, ** for any')
  else settings.problem(node, match, 'expected a pattern such as /osc/*/fader{1-8}')
  return undefined
}

function readTarget(settings: Settings, captures: number): AddressTemplate | undefined {
  const node = settings.source('to')
  if (node !== undefined) return readTemplate(settings, node, captures)
  settings.problem(settings.node, 'to is missing', 'add the address that gets the value, such as /mix/ch/$1/level')
  return undefined
}

function readTemplate(settings: Settings, node: SourceNode, captures: number): AddressTemplate | undefined {
  const template = typeof node.value === 'string' ? AddressTemplate.parse(node.value, captures) : 'this is no text'
  if (template instanceof AddressTemplate) return template
  settings.problem(node, template, 'expected an address such as /mix/ch/$1/level')
  return undefined
}

/** The rule from `to` to `match`, with `reverse` or the inverse of each step, the last one first. */
function backward(
  settings: Settings,
  { match, targets: [template] }: Course,
  forward: Rule,
  steps: readonly Step[],
  reverse: readonly Step[] | undefined,
  pacing: readonly Step[],
): Rule | null {
  const { node } = settings
  const order = template.order
  const isTurnable =
    match !== null && !order.includes(0) && new Set(order).size === order.length && order.length === match.captures
  const back = isTurnable
    ? AddressMatch.parse(template.matchText(match))
    : 'it needs match, and to with each of its wildcards once'
  if (match === null || !(back instanceof AddressMatch)) {
    settings.problem(node, `it has no way back: ${String(back)}`, 'use two rules, one for each direction')
    return null
  }
  const places = match.places.map((number) => order.indexOf(number) + 1)
  const target = AddressTemplate.parse(match.templateText(places), back.captures)
  if (!(target instanceof AddressTemplate)) {
    settings.problem(node, `it has no way back: ${target}`, 'use two rules, one for each direction')
    return null
  }
  const inverses = reverse ?? steps.map((step) => step.inverse?.() ?? identity).reverse()
  const stuck = steps.findIndex(({ inverse }) => inverse === undefined)
  if (reverse === undefined && stuck >= 0) {
    const remedy = 'add reverse: with the transforms of the way back'
    settings.problem(settings.source('transform') ?? node, `step ${stuck + 1} has no inverse`, remedy)
    return null
  }
  return {
    ...forward,
    // Both were said of values on their way forward.
    when: null,
    onError: forward.onError === 'default' ? 'drop' : forward.onError,
    matcher: { patterns: [back.pattern], capturesOf: (address) => back.capturesOf(address) },
    targets: [target],
    targetPatterns: forward.matcher.patterns,
    steps: [...inverses, ...pacing],
    pacingFrom: inverses.length,
  }
}
