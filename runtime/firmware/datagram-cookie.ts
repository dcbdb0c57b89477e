import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { COOKIE_BYTES } from '../../firmware-protocol/link/constants.ts'

/**
 * Proof that a device can be reached at its address, without remembering anything of it: the cookie is computed again
 * when it comes back. Good for this minute and the one before.
 */
export class DatagramCookies {
  private readonly secret = randomBytes(32)

  make(address: string, port: number, deviceNonce: Uint8Array, hostNonce: Uint8Array, nowMs: number): Uint8Array {
    return this.at(Math.floor(nowMs / 60_000), address, port, deviceNonce, hostNonce)
  }

  isValid(
    cookie: Uint8Array,
    address: string,
    port: number,
    deviceNonce: Uint8Array,
    hostNonce: Uint8Array,
    nowMs: number,
  ): boolean {
    if (cookie.length !== COOKIE_BYTES) return false
    const minute = Math.floor(nowMs / 60_000)
    return [minute, minute - 1].some((at) =>
      timingSafeEqual(this.at(at, address, port, deviceNonce, hostNonce), cookie),
    )
  }

  private at(minute: number, address: string, port: number, nonce: Uint8Array, hostNonce: Uint8Array): Uint8Array {
    const hmac = createHmac('sha256', this.secret).update(`${address} ${port} ${minute} `)
    return hmac.update(nonce).update(hostNonce).digest().subarray(0, COOKIE_BYTES)
  }
}
