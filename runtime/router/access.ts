/** What a session may do. Open mode has none: `null` stands for "everything" and costs nothing. */
export interface Access {
  /** For logs and rules: who this is. */
  readonly subject: string
  /** Unix time in µs when the permission ends; the session is closed then. Infinity = never. */
  readonly expiresAtUs: number
  canRead(address: string): boolean
  canWrite(address: string): boolean
  /** The whole pattern must lie within what may be read. */
  canSubscribe(pattern: string): boolean
}

/** Why a HELLO is refused: 300 with a reason, or 302 when the token has expired (router reference §14.2). */
export interface AccessRefusal {
  code: 300 | 302 | 500
  message: string
}

/** Decides at HELLO; absent in open mode. */
export interface Authorizer {
  authorize(token: string | undefined, name: string): Access | AccessRefusal
}

export function isRefusal(result: Access | AccessRefusal): result is AccessRefusal {
  return 'code' in result
}
