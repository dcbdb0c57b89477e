/** Reason codes of MQTT 5 that are used here, and what version 3.1.1 says instead. Source: MQTT 5.0 §2.4, 3.1.1 §3.2.2.3. */

export const PublishReason = {
  success: 0x00,
  implementationSpecific: 0x83,
  notAuthorized: 0x87,
  topicNameInvalid: 0x90,
  quotaExceeded: 0x97,
  payloadFormatInvalid: 0x99,
} as const
export type PublishReason = (typeof PublishReason)[keyof typeof PublishReason]

/** What PUBACK and PUBREC of version 5 say of an ERROR of the router. */
export function refusalReason(code: number, text: string): PublishReason {
  if (code === 301 || code === 403 || text.startsWith('LockHeld')) return PublishReason.notAuthorized
  return code === 429 || text === 'AtCapacity' ? PublishReason.quotaExceeded : PublishReason.implementationSpecific
}

export const DisconnectReason = {
  normal: 0x00,
  malformed: 0x81,
  protocolError: 0x82,
  serverBusy: 0x89,
  shuttingDown: 0x8b,
  keepAliveTimeout: 0x8d,
  takenOver: 0x8e,
  topicNameInvalid: 0x90,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
} as const
export type DisconnectReason = (typeof DisconnectReason)[keyof typeof DisconnectReason]

export const ConnectReason = {
  success: 0x00,
  unsupportedVersion: 0x84,
  clientIdInvalid: 0x85,
  badUserOrPassword: 0x86,
  notAuthorized: 0x87,
  serverBusy: 0x89,
  badAuthenticationMethod: 0x8c,
  topicNameInvalid: 0x90,
} as const
export type ConnectReason = (typeof ConnectReason)[keyof typeof ConnectReason]

/** For the log. */
export const REFUSALS: Readonly<Record<ConnectReason, string>> = {
  0: '',
  132: 'its version of MQTT is not known',
  133: 'its client id cannot be',
  134: 'wrong user name, password or token',
  135: 'it gave no user name, or may not write its will',
  137: 'the broker is busy or full',
  140: 'its way of authentication is not known',
  144: 'its will has an impossible topic',
}

/** Return codes of CONNACK in version 3.1.1. */
export const RETURN_CODES: Readonly<Record<ConnectReason, number>> = {
  0: 0,
  132: 1,
  133: 2,
  134: 4,
  135: 5,
  137: 3,
  140: 5,
  144: 5,
}

export const SubscribeReason = { failure: 0x80, notAuthorized: 0x87, filterInvalid: 0x8f, quotaExceeded: 0x97 } as const
export const UnsubscribeReason = { success: 0x00, notThere: 0x11 } as const
