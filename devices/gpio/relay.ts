import { outputKind } from './output-kind.ts'

/** A relay, contactor, solenoid or valve: contacts that wear out when they switch too often (bridges.md §20.6). */
export const relay = outputKind({
  kind: 'relay',
  description: 'A relay, contactor, solenoid or valve.',
  namespace: 'relay',
  maxSwitchHz: 5,
})
