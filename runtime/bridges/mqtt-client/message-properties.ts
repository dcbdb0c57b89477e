import type { Signal } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { OutgoingMessage } from './outbox.ts'

/** What version 5 says of a signal; `origin` marks it as ours. Source: bridges.md §9.7. */
export function propertiesOf(
  signal: Signal,
  { type }: Value,
  origin: string,
  wallUs: number,
): OutgoingMessage['properties'] {
  return {
    payloadFormatIndicator: type !== 'bytes',
    contentType: contentTypeOf(type),
    userProperties: { 'clasp-sig': signal, 'clasp-ts': String(wallUs), 'clasp-origin': origin },
  }
}

function contentTypeOf(type: Value['type']): string {
  if (type === 'array' || type === 'map') return 'application/json'
  return type === 'bytes' ? 'application/octet-stream' : 'text/plain'
}
