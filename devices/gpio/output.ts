import { outputKind } from './output-kind.ts'

/** Any output: a transistor, an optocoupler, the input of another device. */
export const output = outputKind({
  kind: 'output',
  description: 'An output that is on or off.',
  namespace: 'gpio',
  maxSwitchHz: 0,
})
