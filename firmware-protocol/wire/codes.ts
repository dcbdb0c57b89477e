import { FeatureBit, SignalCode } from './constants.ts'
import type { Feature, FederationOp, Phase, Signal } from './message.ts'

/** Names of the numbers in messages, by code. */
export const SIGNALS = Object.keys(SignalCode) as Signal[]
export const PHASES: readonly Phase[] = ['start', 'move', 'end', 'cancel']
export const FEATURES = Object.keys(FeatureBit) as Feature[]
/** By code − 1. */
export const FEDERATION_OPS: readonly FederationOp[] = [
  'declare_namespaces',
  'request_sync',
  'revision_vector',
  'sync_complete',
]
