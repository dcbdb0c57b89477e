import { patternProblem } from '../../firmware-protocol/wire/address.ts'
import { checkedText, list, object, optional, required } from '../config/fields.ts'
import { secret } from '../config/secret.ts'

const patterns = (description: string) =>
  list({
    description,
    of: checkedText({
      description: 'An address pattern.',
      fallback: '',
      expected: 'an address pattern such as /lights/**',
      check: patternProblem,
    }),
  })

const scopes = {
  read: patterns('What may be read.'),
  write: patterns('What may be set and emitted.'),
}

export interface TokenOptions {
  readonly tokens: readonly { readonly token: string; readonly read: string[]; readonly write: string[] }[]
  readonly anonymous: { readonly read: string[]; readonly write: string[] } | undefined
}

/** Options of servers whose peers show tokens; `how` they do. */
export function tokenOptions(how: string) {
  return {
    tokens: list({
      description: `Who may do what, by the token that is shown (${how}).`,
      of: object('A token and its scopes.', { token: required(secret({ description: 'The token.' })), ...scopes }),
    }),
    anonymous: optional(
      object(
        'What may be done without a token. Left out: everything when there are no tokens, nothing when there are.',
        { ...scopes },
      ),
    ),
  }
}

/** What does not fit together, for the operator; undefined: nothing. */
export function tokenProblem({ tokens }: Pick<TokenOptions, 'tokens'>, master?: string): string | undefined {
  const all = [...tokens.map(({ token }) => token), ...(master === undefined ? [] : [master])]
  // Such as that of a file which is still to be written: everybody could show it.
  if (all.includes('')) return 'a token is empty'
  return new Set(all).size < all.length ? 'the same token is listed twice' : undefined
}
