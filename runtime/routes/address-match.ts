import { Pattern } from '../../firmware-protocol/wire/pattern.ts'

/** Also larger ranges than this can be written with `*`. */
const MAX_RANGE = 10_000
const TOKENS = /\*\*|\*|\{[^{}]*\}|[^*{}]+|[{}]/g

/** A piece of `match`: fixed text, or a wildcard that captures. */
type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'part' | 'rest' }
  | { readonly kind: 'range'; readonly from: number; readonly to: number }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }

/**
 * `match` of a rule: the whole address, `*` for a segment or a part of one, `**` for any number of whole segments,
 * `{1-8}` for a number in a range, `{a,b}` for one of several words. Wildcards capture. Source: bridges.md §18.2.
 */
export class AddressMatch {
  readonly text: string
  /** What a session subscribes to for it: at least the addresses that match. */
  readonly pattern: string
  readonly captures: number
  private readonly pieces: readonly Piece[]
  /** A quick look first. */
  private readonly coarse: Pattern

  private constructor(text: string, pieces: readonly Piece[], coarse: Pattern) {
    this.text = text
    this.pieces = pieces
    this.coarse = coarse
    this.pattern = coarse.text
    this.captures = pieces.filter(({ kind }) => kind !== 'text').length
  }

  /** The match, or what is wrong with it. */
  static parse(text: string): AddressMatch | string {
    const pieces: Piece[] = []
    for (const token of text.match(TOKENS) ?? []) {
      const piece = pieceOf(token)
      if (typeof piece === 'string') return piece
      pieces.push(piece)
    }
    const captures = pieces.filter(({ kind }) => kind !== 'text').length
    if (captures > 9) return `it has ${captures} wildcards, nine are the most`
    for (const segment of text.split('/')) {
      if (segment !== '**' && segment.includes('**')) return `** must be a whole segment, not "${segment}"`
    }
    const coarse = Pattern.parse(patternOf(pieces))
    return coarse instanceof Pattern ? new AddressMatch(text, pieces, coarse) : coarse
  }

  /** The address and what each wildcard stands for; null: no match. */
  capturesOf(address: string): string[] | null {
    if (this.captures === 0) return address === this.text ? [address] : null
    const captures = [address]
    if (!this.coarse.matches(address) || !this.finds(address, 0, 0, captures, new Set())) return null
    for (const [at, piece] of this.pieces.filter(({ kind }) => kind !== 'text').entries()) {
      if (piece.kind !== 'range') continue
      const number = Number(captures[at + 1])
      if (number < piece.from || number > piece.to) return null
    }
    return captures
  }

  /**
   * Whether the pieces from `at` on fit the rest of the address. What did not fit once is not tried again, which a regular
   * expression would do: an address of somebody else could keep it busy for seconds.
   */
  private finds(address: string, at: number, start: number, captures: string[], failed: Set<number>): boolean {
    if (at === this.pieces.length) return start === address.length
    const place = at * (address.length + 1) + start
    if (failed.has(place)) return false
    for (const { end, capture } of reaches(this.pieces, at, address, start)) {
      const { length } = captures
      if (capture !== undefined) captures.push(capture)
      if (this.finds(address, at + 1, end, captures, failed)) return true
      captures.length = length
    }
    failed.add(place)
    return false
  }

  /** `to` of the way back: each wildcard becomes the capture with the number of its turn in `order`. */
  templateText(order: readonly number[]): string {
    let wildcard = 0
    return this.pieces.map((piece) => (piece.kind === 'text' ? piece.text : `$${order[wildcard++]}`)).join('')
  }

  /** Numbers of the wildcards in order: 1, 2, … */
  get places(): readonly number[] {
    return Array.from({ length: this.captures }, (_, at) => at + 1)
  }

  /** The wildcard with this number, as it was written. */
  wildcard(number: number): string {
    return textOf(this.pieces.filter(({ kind }) => kind !== 'text')[number - 1])
  }
}

function pieceOf(token: string): Piece | string {
  if (token === '**') return { kind: 'rest' }
  if (token === '*') return { kind: 'part' }
  if (token === '{' || token === '}') return `the brace ${token} has no partner`
  if (!token.startsWith('{')) return { kind: 'text', text: token }
  const content = token.slice(1, -1)
  const range = /^(\d{1,9})-(\d{1,9})$/.exec(content)
  if (range !== null) {
    const [from, to] = [Number(range[1]), Number(range[2])]
    if (from > to || to - from >= MAX_RANGE) return `the range ${token} is empty or too large`
    return { kind: 'range', from, to }
  }
  const choices = content.split(',')
  const isFit = choices.every((choice) => choice !== '' && !/[/*]/.test(choice))
  return isFit ? { kind: 'choice', choices } : `${token} is neither a range like {1-8} nor a choice like {a,b}`
}

/** A place up to which a piece can reach, and what it captures then; text captures nothing. */
interface Reach {
  readonly end: number
  readonly capture: string | undefined
}

/** As far as the piece can reach from `start`, in the order in which it is tried: `*` takes little, a range much. */
function* reaches(pieces: readonly Piece[], at: number, address: string, start: number): Generator<Reach> {
  const piece = pieces[at]
  const upTo = (end: number): Reach => ({ end, capture: address.slice(start, end) })
  switch (piece.kind) {
    case 'text': {
      // `**` takes the slash before it along, so that it can stand for nothing.
      const text = pieces[at + 1]?.kind === 'rest' ? piece.text.slice(0, -1) : piece.text
      if (address.startsWith(text, start)) yield { end: start + text.length, capture: undefined }
      return
    }
    case 'part': {
      const slash = address.indexOf('/', start)
      const last = slash < 0 ? address.length : slash
      if (!isWholeSegment(pieces, at)) for (let end = start; end <= last; end++) yield upTo(end)
      else if (last > start) yield upTo(last)
      return
    }
    case 'rest':
      yield { end: start, capture: '' }
      if (address[start] !== '/') return
      for (let end = start + 2; end <= address.length; end++) yield { end, capture: address.slice(start + 1, end) }
      return
    case 'range': {
      const [digits] = /^(?:0|[1-9]\d{0,8})/.exec(address.slice(start, start + 9)) ?? ['']
      for (let length = digits.length; length > 0; length--) yield upTo(start + length)
      return
    }
    case 'choice':
      for (const choice of piece.choices) if (address.startsWith(choice, start)) yield upTo(start + choice.length)
  }
}

/** An empty segment is none, except for what `*` in a part of one stands for. */
function isWholeSegment(pieces: readonly Piece[], at: number): boolean {
  const [before, after] = [pieces[at - 1], pieces[at + 1]]
  const startsSegment = before?.kind === 'text' && before.text.endsWith('/')
  return startsSegment && (after === undefined || (after.kind === 'text' && after.text.startsWith('/')))
}

function patternOf(pieces: readonly Piece[]): string {
  let pattern = ''
  for (const [at, piece] of pieces.entries()) {
    if (piece.kind === 'text') pattern += piece.text
    else if (piece.kind === 'rest') pattern += '**'
    // Two in a row are one: `**` would mean something else.
    else if (at === 0 || pieces[at - 1].kind === 'text') pattern += '*'
  }
  return pattern
}

function textOf(piece: Piece): string {
  switch (piece.kind) {
    case 'text':
      return piece.text
    case 'part':
      return '*'
    case 'rest':
      return '**'
    case 'range':
      return `{${piece.from}-${piece.to}}`
    case 'choice':
      return `{${piece.choices.join(',')}}`
  }
}
