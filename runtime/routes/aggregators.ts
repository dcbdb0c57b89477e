import type { Settings } from './settings.ts'

/** One number of several samples. Source: bridges.md §18.6. */
export interface Sample {
  readonly value: number
  readonly atMs: number
}

export const aggregatorTypes = [
  'average',
  'sum',
  'min',
  'max',
  'latest',
  'first',
  'count',
  'moving_average',
  'rate_of_change',
  'std_dev',
] as const
export type AggregatorType = (typeof aggregatorTypes)[number]

/** As many as upstream keeps. */
const WINDOW_SIZE = 100
const MAX_WINDOW_SIZE = 10_000

export interface Aggregator {
  readonly type: AggregatorType
  readonly windowSize: number
  /** 0: no limit. */
  readonly windowMs: number
}

/** `windowSize`, `windowMs`, and `type` where that is not known. */
export function readAggregator(
  settings: Settings,
  type: AggregatorType = settings.choice('type', aggregatorTypes),
): Aggregator {
  const isMoving = type === 'moving_average'
  const windowSize = settings.number('windowSize', WINDOW_SIZE, { isWhole: true, min: 1, max: MAX_WINDOW_SIZE })
  if (isMoving && !settings.has('windowSize') && !settings.has('windowMs')) {
    settings.problem(settings.node, 'windowSize is missing', 'add windowSize (samples) or windowMs')
  }
  return { type, windowSize, windowMs: settings.number('windowMs', 0, { min: 0 }) }
}

/** Samples of one address, oldest first. */
export class SampleWindow {
  private readonly aggregator: Aggregator
  private readonly samples: Sample[] = []

  constructor(aggregator: Aggregator) {
    this.aggregator = aggregator
  }

  add(value: number, atMs: number): number {
    const { type, windowSize, windowMs } = this.aggregator
    const { samples } = this
    samples.push({ value, atMs })
    if (samples.length > windowSize && (type !== 'rate_of_change' || samples.length > 2)) samples.shift()
    if (windowMs > 0) while (samples[0].atMs < atMs - windowMs) samples.shift()
    return aggregate(type, samples)
  }
}

/** `samples` is not empty and in the order of arrival. */
export function aggregate(type: AggregatorType, samples: readonly Sample[]): number {
  const last = samples[samples.length - 1]
  switch (type) {
    case 'average':
    case 'moving_average':
      return mean(samples)
    case 'sum':
      return sum(samples)
    case 'min': {
      let least = Number.POSITIVE_INFINITY
      for (const { value } of samples) if (value < least) least = value
      return least
    }
    case 'max': {
      let most = Number.NEGATIVE_INFINITY
      for (const { value } of samples) if (value > most) most = value
      return most
    }
    case 'latest':
      return last.value
    case 'first':
      return samples[0].value
    case 'count':
      return samples.length
    case 'rate_of_change': {
      const before = samples[samples.length - 2]
      const seconds = before === undefined ? 0 : (last.atMs - before.atMs) / 1000
      return seconds > 0 ? (last.value - before.value) / seconds : 0
    }
    case 'std_dev': {
      const middle = mean(samples)
      let squares = 0
      for (const { value } of samples) squares += (value - middle) ** 2
      return Math.sqrt(squares / samples.length)
    }
  }
}

function sum(samples: readonly Sample[]): number {
  let total = 0
  for (const { value } of samples) total += value
  return total
}

/** Divided before they are added, where the sum would be too large. */
function mean(samples: readonly Sample[]): number {
  const total = sum(samples)
  if (Number.isFinite(total)) return total / samples.length
  let middle = 0
  for (const { value } of samples) middle += value / samples.length
  return middle
}
