import type { NodePort } from './artnet-poll-reply.ts'

/** A port of the node, as remote settings leave it. Its CLASP addresses stay those of `universe`, whatever it is patched to. */
export interface ArtNetPort {
  /** As configured. */
  readonly universe: number
  readonly direction: NodePort['direction']
  /** Which Port-Address it carries; 0…32 767. */
  portAddress: number
  /** Of inputs: nothing is sent. */
  isDisabled: boolean
}
