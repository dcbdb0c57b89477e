import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { formatValue } from '../../firmware-protocol/wire/values.ts'

/** A value for people; of a float of 32 bits only the digits that it has. */
export function valueText(value: Value): string {
  if (value.type !== 'f32' || !Number.isFinite(value.value)) return formatValue(value)
  return formatValue({ type: 'f32', value: Number(value.value.toPrecision(7)) })
}

/** A CLASP message on one line: its type, its address or pattern, its value, and what else it says. */
export function messageText(message: Message): string {
  switch (message.type) {
    case 'SET': {
      const { address, value, revision, lock, unlock } = message
      return joined([
        'SET',
        address,
        '=',
        valueText(value),
        revision !== undefined && `r${revision}`,
        lock && 'lock',
        unlock && 'unlock',
      ])
    }
    case 'PUBLISH': {
      const { address, signal, phase, id, value, samples } = message
      const contents = samples === undefined ? value && valueText(value) : `[${samples.join(', ')}]`
      return joined(['PUBLISH', address, signal, phase, id !== undefined && `#${id}`, contents])
    }
    case 'HELLO':
    case 'WELCOME':
      return joined([message.type, JSON.stringify(message.name), message.features.join(' ')])
    case 'SUBSCRIBE':
      return joined(['SUBSCRIBE', `#${message.id}`, message.pattern, message.types.join(' ')])
    case 'UNSUBSCRIBE':
      return `UNSUBSCRIBE #${message.id}`
    case 'BUNDLE':
      return `BUNDLE {${message.messages.map(messageText).join('; ')}}`
    case 'ERROR':
      return joined(['ERROR', message.address, String(message.code), message.message])
    case 'ACK':
      return joined(['ACK', message.address, message.revision !== undefined && `r${message.revision}`])
    case 'SNAPSHOT':
      return `SNAPSHOT {${message.params.map(({ address, value }) => `${address} = ${valueText(value)}`).join('; ')}}`
    case 'ANNOUNCE':
      return joined(['ANNOUNCE', message.namespace, `${message.signals.length} signals`])
    case 'GET':
      return `GET ${message.address}`
    case 'QUERY':
    case 'REPLAY':
      return `${message.type} ${message.pattern}`
    default:
      return message.type
  }
}

function joined(parts: readonly (string | false | undefined)[]): string {
  return parts.filter((part) => part !== false && part !== undefined && part !== '').join(' ')
}
