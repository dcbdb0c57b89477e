import { FeatureBit, MessageCode } from './constants.ts'

/**
 * Whether a compact WELCOME (02, version, feature bits, …) says that its router is a hub. Upstream neither sends nor reads
 * this bit, so the decoded message leaves it out; our hub sets it (federation reference §14).
 */
export function hasHubBit(message: Uint8Array, at = 0): boolean {
  return (
    message.length >= at + 3 && message[at] === MessageCode.welcome && (message[at + 2] & FeatureBit.federation) !== 0
  )
}
