import { addressProblem } from '../firmware-protocol/wire/address.ts'
import { choice, duration, flag, type OptionsOf, text } from './options.ts'

const DAY_MS = 86_400_000

/** Why outputs are to be safe. */
export type SafeReason = 'stop' | 'link' | 'owner' | 'deadman' | 'require'

/**
 * When an output is made safe and when it goes on: part of the options of every kind that has `isFailSafe`, and of the rows
 * that are `outputs` of a kind. The runtime acts on them; a driver only knows how to be safe. Source: bridges.md §20.6,
 * §20.8.
 */
export const failSafeOptions = {
  initial: choice('What it is at the start: safe, or what it was told last, from the journal.', 'safe', [
    'safe',
    'last',
    'on',
    'off',
  ]),
  deadman: duration('Safe when nothing was written for so long; 0s = never.', 0, { minMs: 0, maxMs: DAY_MS }),
  ownerTimeout: duration(
    'Safe when the client that set it last has been gone for so long; 0s = never. Events make nobody its owner.',
    0,
    { minMs: 0, maxMs: DAY_MS },
  ),
  onHubLoss: choice('What it does when the hub of this router is gone.', 'hold', ['hold', 'safe']),
  resume: choice(
    'When the hub, or a client of the name of its owner, is back: stay safe until it is set, or go on.',
    'manual',
    ['manual', 'auto'],
  ),
  requires: text('Address of a param without whose value (requiresValue) it is safe and cannot be switched on.'),
  requiresValue: flag('What that param has to be.', true),
}

/** For outputs that are more than on or off. */
export const gradualFailSafeOptions = {
  ...failSafeOptions,
  initial: choice(failSafeOptions.initial.description, 'safe', ['safe', 'last']),
}

export type FailSafeOptions = OptionsOf<typeof failSafeOptions>

/** Whether the param of one output of several stays what it is when that is made safe: at a stop it will be restored. */
export function keepsParam(
  { initial }: Pick<FailSafeOptions, 'initial'>,
  reason: SafeReason,
  keepsWish: boolean,
): boolean {
  return keepsWish || (reason === 'stop' && initial === 'last')
}

/** What cannot be in these options; undefined: nothing. */
export function failSafeProblem({ requires }: Pick<FailSafeOptions, 'requires'>): string | undefined {
  if (requires === undefined) return undefined
  const problem = requires.includes('*') ? 'an address has no wildcards' : addressProblem(requires)
  return problem === undefined ? undefined : `requires: ${problem}`
}
