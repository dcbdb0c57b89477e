import { outputKind } from './output-kind.ts'

/** A light that is on or off; for brightness see pwm. */
export const led = outputKind({
  kind: 'led',
  description: 'A light that is on or off.',
  namespace: 'gpio',
  maxSwitchHz: 0,
})
