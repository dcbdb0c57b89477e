/** Names of foreign protocols as levels of CLASP addresses, and back. Source: bridges.md §2.14. */

const MAX_ADDRESS_BYTES = 1024
const MAX_LEVELS = 32
/** Wildcards of patterns, MQTT and OSC, the escape itself, and control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be in an address
const SPECIAL = /[%*?[\]{}#+\u0000-\u001f\u007f]/g
const EMPTY = '%-'

/** One level; ordinary names stay as they are. */
export function escapeLevel(name: string): string {
  if (name === '') return EMPTY
  return name.replace(SPECIAL, (character) => `%${hex(character)}`)
}

export function unescapeLevel(level: string): string {
  if (level === EMPTY) return ''
  return level.replace(/%([0-9A-Fa-f]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
}

/** `namespace` and the levels of a foreign name (`a/b`), escaped; undefined when the address would be too long. */
export function addressOf(namespace: string, foreign: string): string | undefined {
  const address = `${namespace}/${foreign.split('/').map(escapeLevel).join('/')}`
  const levels = address.split('/').length - 1
  const isFit = levels <= MAX_LEVELS && Buffer.byteLength(address) <= MAX_ADDRESS_BYTES
  return isFit ? address : undefined
}

/** The foreign name of an address; undefined when it is not below the namespace. */
export function foreignOf(namespace: string, address: string): string | undefined {
  if (!address.startsWith(`${namespace}/`)) return undefined
  const rest = address.slice(namespace.length + 1)
  return rest === '' ? undefined : rest.split('/').map(unescapeLevel).join('/')
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')
}
