import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { jsonFromValue } from '../json-value.ts'

/** What a request is made from. */
export interface TemplateSource {
  readonly address: string
  readonly value: Value
  /** Microseconds since the Unix epoch. */
  readonly timeUs: number
}

const PLACEHOLDER = /\{(address|value|text|seg(\d{1,2}))\}/g

/** `{address}` with its slashes, `{segN}` (1 is the first) and `{value}` percent-encoded; what there is not is empty. */
export function fillUrl(template: string, { address, value }: TemplateSource): string {
  const segments = address.slice(1).split('/')
  return template.replace(PLACEHOLDER, (_, name: string, digits: string | undefined) => {
    if (digits !== undefined) return encodeURIComponent(segments[Number(digits) - 1] ?? '')
    if (name === 'address') return `/${segments.map(encodeURIComponent).join('/')}`
    return encodeURIComponent(plainText(value))
  })
}

/** `value`: JSON; `wrapped`: with its address and time; otherwise a template. */
export function fillBody(template: string, source: TemplateSource): string {
  const { address, value, timeUs } = source
  if (template === 'value') return jsonFromValue(value)
  if (template === 'wrapped')
    return `{"address":${JSON.stringify(address)},"value":${jsonFromValue(value)},"t":${timeUs}}`
  const segments = address.slice(1).split('/')
  return template.replace(PLACEHOLDER, (_, name: string, digits: string | undefined) => {
    if (digits !== undefined) return quoted(segments[Number(digits) - 1] ?? '')
    if (name === 'value') return jsonFromValue(value)
    return quoted(name === 'address' ? address : plainText(value))
  })
}

function plainText(value: Value): string {
  return value.type === 'string' ? value.value : jsonFromValue(value)
}

/** As it stands between the quotes of JSON. */
function quoted(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}
