import type { ErrorMessage } from '../../firmware-protocol/wire/message.ts'

/** An ERROR as the answer to a request. Codes and texts: federation.md §10. */
export function refusal(code: number, message: string, address?: string): ErrorMessage {
  return { type: 'ERROR', code, message, address }
}
