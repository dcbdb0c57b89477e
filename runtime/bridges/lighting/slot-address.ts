/** Addresses of the DMX family below a bridge's namespace. Source: bridges.md §5.1. */

export const SLOTS = 512

export interface SlotAddress {
  readonly universe: number
  /** 1…512; null: the whole universe. */
  readonly channel: number | null
  /** Channel and the next one: coarse and fine. */
  readonly isPair: boolean
  /** A fade is asked for. */
  readonly isFade: boolean
}

export interface AddressForm {
  /** Lowest and highest number of a universe. */
  readonly first: number
  readonly last: number
  /** Also `{net}/{sub}/{universe}` (Art-Net): 0…127, 0…15, 0…15. */
  readonly isSplit?: boolean
  /** A single number is a channel of this universe. */
  readonly shortUniverse?: number
}

const NUMBER = /^(?:0|[1-9]\d{0,5})$/

/**
 * `{u}`, `{u}/{ch}`, `{u}/{ch}/16`, the same with `{net}/{sub}/{u}`, and `/fade` behind any of them. `rest`: without the
 * namespace and its slash. Undefined: it is none of these.
 */
export function parseSlotAddress(rest: string, form: AddressForm): SlotAddress | undefined {
  const levels = rest.split('/')
  const isFade = levels.length > 1 && levels[levels.length - 1] === 'fade'
  if (isFade) levels.pop()
  if (levels.length > 5) return undefined
  const numbers: number[] = []
  for (const level of levels) {
    if (!NUMBER.test(level)) return undefined
    numbers.push(Number(level))
  }
  const { shortUniverse } = form
  // Behind the number of the universe, 16 is a channel.
  const isShortPair = numbers.length === 2 && numbers[1] === 16 && numbers[0] !== shortUniverse
  if (shortUniverse !== undefined && (numbers.length === 1 || isShortPair)) {
    return whole(shortUniverse, numbers, 0, isFade, form)
  }
  // The third number of a split one is at most 15: 16 can only mean a pair.
  if (numbers.length <= 2 || (numbers.length === 3 && numbers[2] === 16)) {
    return whole(numbers[0], numbers, 1, isFade, form)
  }
  const [net, sub, universe] = numbers
  if (!form.isSplit || net > 127 || sub > 15 || universe > 15) return undefined
  return whole(net * 256 + sub * 16 + universe, numbers, 3, isFade, form)
}

function whole(
  universe: number,
  numbers: readonly number[],
  at: number,
  isFade: boolean,
  { first, last }: AddressForm,
): SlotAddress | undefined {
  if (universe < first || universe > last) return undefined
  if (numbers.length === at) return { universe, channel: null, isPair: false, isFade }
  const channel = numbers[at]
  const isPair = numbers.length > at + 1
  if (isPair && (numbers.length > at + 2 || numbers[at + 1] !== 16)) return undefined
  if (channel < 1 || channel > (isPair ? SLOTS - 1 : SLOTS)) return undefined
  return { universe, channel, isPair, isFade }
}
