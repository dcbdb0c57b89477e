/** The router's own addresses: anybody permitted may read them, only the router's parts write them. */
export const RESERVED_NAMESPACE = '/_clasp'

export interface WriteRefusal {
  code: 301 | 403 | 503
  message: string
}

export const RESERVED_REFUSAL: WriteRefusal = {
  code: 403,
  message: `addresses below ${RESERVED_NAMESPACE} belong to the router`,
}

export function isReserved(address: string): boolean {
  return address.startsWith(`${RESERVED_NAMESPACE}/`) || address === RESERVED_NAMESPACE
}
